"""The OCI runtime command line, with runc's verbs and options, so that other engines and test suites can drive it.

Whatever enters a container runs from a sealed copy of the interpreter: the one on disk must not be reachable through
/proc/PID/exe inside (CVE-2019-5736).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError, InvalidParameter
from runtime.linux import atomicfile
from runtime.linux.syscalls import KERNEL
from runtime.oci import create as creation
from runtime.oci import foreground, hooks, lifecycle, mountopts, namespaces, state
from runtime.oci.capabilities import NAMES
from runtime.oci.messages import ENGINE_FAILED, StartError
from runtime.shim import launch
from runtime.shim.execsession import signal_number
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_ENTERING: Final = ("create", "run", "exec")
_SEALED: Final = "_PYCOMPOSE_SEALED"
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv[1]); from runtime.ocicli import main; sys.exit(main(sys.argv[2:]))"
)
_FIRST_KEPT: Final = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; the exit status is the container's for a foreground run or exec, else 0 or 1."""
    words = list(sys.argv[1:] if argv is None else argv)
    options = _parser().parse_args(words)
    try:
        if options.verb in _ENTERING:
            _enter_sealed_copy(words)
        return _VERBS[options.verb](options)
    except StartError as error:
        _complain(options, error.message)
        return error.exit_code if error.exit_code != ENGINE_FAILED else 1
    except EngineError as error:
        _complain(options, error.message)
    except OSError as error:
        _complain(options, f"{error.filename or options.verb}: {error.strerror or error}")
    return 1


def _enter_sealed_copy(words: list[str]) -> None:
    if os.environ.pop(_SEALED, ""):
        return
    executable = launch.interpreter()
    copy = launch.sealed_copy(executable)
    argv = [executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, launch.package_root(), *words]
    os.execve(f"/proc/self/fd/{copy}", argv, {**os.environ, _SEALED: "1"})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pycompose oci", description="OCI runtime", allow_abbrev=False)
    parser.add_argument("--root", default="/run/pycompose/oci", help="directory of container state")
    parser.add_argument("--log", default="", help="file to append errors to")
    parser.add_argument("--log-format", choices=("text", "json"), default="text")
    parser.add_argument("--debug", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--systemd-cgroup", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--rootless", default="auto", help=argparse.SUPPRESS)
    parser.add_argument(
        "-v", "--version", action="version", version=f"pycompose-oci {VERSION}\nspec: {hooks.OCI_VERSION}"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for verb in ("create", "run"):
        _add_create(verbs.add_parser(verb))
    for verb in ("start", "state", "pause", "resume"):
        verbs.add_parser(verb).add_argument("id")
    kill = verbs.add_parser("kill")
    kill.add_argument("-a", "--all", action="store_true")
    kill.add_argument("id")
    kill.add_argument("signal", nargs="?", default="SIGTERM")
    delete = verbs.add_parser("delete")
    delete.add_argument("-f", "--force", action="store_true")
    delete.add_argument("id")
    _add_exec(verbs.add_parser("exec"))
    listing = verbs.add_parser("list")
    listing.add_argument("-q", "--quiet", action="store_true")
    listing.add_argument("-f", "--format", choices=("table", "json"), default="table")
    processes = verbs.add_parser("ps")
    processes.add_argument("-f", "--format", choices=("table", "json"), default="table")
    processes.add_argument("id")
    verbs.add_parser("features")
    return parser


def _add_create(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-b", "--bundle", default=".")
    parser.add_argument("--console-socket", default="")
    parser.add_argument("--pid-file", default="")
    parser.add_argument("--preserve-fds", type=int, default=0)
    parser.add_argument("--no-pivot", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--no-new-keyring", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("-d", "--detach", action="store_true")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("id")


def _add_exec(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--console-socket", default="")
    parser.add_argument("--pid-file", default="")
    parser.add_argument("-p", "--process", default="")
    parser.add_argument("-t", "--tty", action="store_true")
    parser.add_argument("-d", "--detach", action="store_true")
    parser.add_argument("--cwd", default="")
    parser.add_argument("-u", "--user", default="")
    parser.add_argument("-e", "--env", action="append", default=[])
    parser.add_argument("id")
    parser.add_argument("command", nargs=argparse.REMAINDER)


def _create(options: argparse.Namespace) -> int:
    _create_from(options, options.console_socket)
    return 0


def _create_from(
    options: argparse.Namespace, console_socket: str, stdio: creation.Stdio = (0, 1, 2)
) -> creation.Created:
    return lifecycle.create(
        KERNEL,
        options.root,
        options.id,
        options.bundle,
        console_socket=console_socket,
        pid_file=options.pid_file,
        stdio=stdio,
        keep=range(_FIRST_KEPT, _FIRST_KEPT + options.preserve_fds),
    )


def _run(options: argparse.Namespace) -> int:
    terminal = bool((lifecycle.read_spec(options.bundle).get("process") or {}).get("terminal"))
    with foreground.Terminal(wanted=terminal and not options.console_socket and not options.detach) as own:
        created = _create_from(options, options.console_socket or own.path)
        own.accept()
        try:
            lifecycle.start(KERNEL, options.root, options.id)
        except BaseException:
            lifecycle.delete(KERNEL, options.root, options.id, force=True)
            raise
        if options.detach:
            return 0
        code = foreground.wait(KERNEL, created.pid, created.pidfd, own)
    if not options.keep:
        lifecycle.delete(KERNEL, options.root, options.id, force=True)
    return code


def _exec(options: argparse.Namespace) -> int:
    process = _exec_process(options)
    with foreground.Terminal(wanted=bool(process.get("terminal")) and not options.console_socket) as own:
        console = own.channel(options.console_socket)
        pid, pidfd, errors = lifecycle.enter(
            KERNEL, options.root, options.id, process, stdio=(0, 1, 2), console=console
        )
        own.accept()
        creation.wait_for_exec(errors)
        if options.pid_file:
            atomicfile.write_text(options.pid_file, str(pid), mode=0o644, sync=False)
        if options.detach:
            return 0
        return foreground.wait(KERNEL, pid, pidfd, own)


def _exec_process(options: argparse.Namespace) -> dict[str, Any]:
    if options.process:
        given = atomicfile.read_json(options.process)
        if not isinstance(given, dict):
            raise InvalidParameter(f"{options.process}: is not an object")
        return given
    words = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not words:
        raise InvalidParameter("exec: no command")
    process = dict(state.load(options.root, options.id).spec()["process"])
    process |= {"args": words, "terminal": options.tty, "env": [*process.get("env", ()), *options.env]}
    if options.cwd:
        process["cwd"] = options.cwd
    if options.user:
        process["x-user"] = options.user
    return process


def _start(options: argparse.Namespace) -> int:
    lifecycle.start(KERNEL, options.root, options.id)
    return 0


def _state(options: argparse.Namespace) -> int:
    record = state.load(options.root, options.id)
    extra = {"rootfs": _rootfs(record), "created": record.data.get("created", "")}
    print(json.dumps(lifecycle.describe(record) | extra, indent=2))
    return 0


def _rootfs(record: state.Record) -> str:
    path = str((record.spec().get("root") or {}).get("path") or "")
    return path if path.startswith("/") else f"{record.data['bundle']}/{path}"


def _kill(options: argparse.Namespace) -> int:
    lifecycle.kill(KERNEL, options.root, options.id, signal_number(options.signal), everyone=options.all)
    return 0


def _delete(options: argparse.Namespace) -> int:
    lifecycle.delete(KERNEL, options.root, options.id, force=options.force)
    return 0


def _pause(options: argparse.Namespace) -> int:
    return _set_paused(options, paused=options.verb == "pause")


def _set_paused(options: argparse.Namespace, *, paused: bool) -> int:
    record = state.load(options.root, options.id)
    wanted = "running" if paused else "paused"
    if record.status() not in {wanted, "created"}:
        raise InvalidParameter(f"container {options.id}: is {record.status()}, not {wanted}")
    cgroup = lifecycle.manager_of(record)
    cgroup.freeze() if paused else cgroup.thaw()
    record.data["paused"] = paused
    record.save()
    return 0


def _list(options: argparse.Namespace) -> int:
    names = state.names(options.root)
    if options.quiet:
        print("\n".join(names)) if names else None
        return 0
    rows = [_row(options.root, name) for name in names]
    if options.format == "json":
        print(json.dumps(rows or None))
        return 0
    print(f"{'ID':<12} {'PID':<11} {'STATUS':<11} {'BUNDLE':<24} CREATED")
    for row in rows:
        print(f"{row['id']:<12} {row['pid']:<11} {row['status']:<11} {row['bundle']:<24} {row['created']}")
    return 0


def _row(root: str, name: str) -> dict[str, Any]:
    record = state.load(root, name)
    shown = lifecycle.describe(record)
    return shown | {"pid": shown.get("pid", 0), "created": record.data.get("created", "")}


def _ps(options: argparse.Namespace) -> int:
    pids = lifecycle.manager_of(state.load(options.root, options.id)).pids()
    print(json.dumps(pids) if options.format == "json" else "\n".join(["PID", *map(str, pids)]))
    return 0


def _features(options: argparse.Namespace) -> int:
    """What the runtime can do, in the form of the OCI features document."""
    print(
        json.dumps(
            {
                "ociVersionMin": "1.0.0",
                "ociVersionMax": hooks.OCI_VERSION,
                "hooks": list(hooks.STAGES),
                "mountOptions": mountopts.known(),
                "linux": {
                    "namespaces": sorted(namespaces.FLAGS),
                    "capabilities": list(NAMES),
                    "cgroup": {"v1": True, "v2": True, "systemd": False, "rdma": False},
                    "seccomp": {"enabled": True},
                    "apparmor": {"enabled": True},
                    "selinux": {"enabled": True},
                    "mountExtensions": {"idmap": {"enabled": True}},
                },
            },
            indent=2,
        )
    )
    return 0


_VERBS: Final[dict[str, Callable[[argparse.Namespace], int]]] = {
    "create": _create,
    "run": _run,
    "start": _start,
    "state": _state,
    "kill": _kill,
    "delete": _delete,
    "exec": _exec,
    "list": _list,
    "pause": _pause,
    "resume": _pause,
    "ps": _ps,
    "features": _features,
}


def _complain(options: argparse.Namespace, message: str) -> None:
    print(f"pycompose oci: {message}", file=sys.stderr)
    if not options.log:
        return
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = (
        json.dumps({"level": "error", "msg": message, "time": at})
        if options.log_format == "json"
        else f'time="{at}" level=error msg={json.dumps(message)}'
    )
    try:
        with open(options.log, "a", encoding="utf-8") as file:
            print(line, file=file)
    except OSError as error:
        print(f"pycompose oci: {options.log}: {error.strerror}", file=sys.stderr)

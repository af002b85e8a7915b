"""The OCI runtime command line, with runc's verbs and options, so that other engines and test suites can drive it.

Whatever enters a container runs from a sealed copy of the interpreter: the one on disk must not be reachable through
/proc/PID/exe inside (CVE-2019-5736).
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError, InvalidParameter, NotFound
from runtime.linux import atomicfile, signalnames
from runtime.linux.syscalls import KERNEL
from runtime.oci import capabilities, commandline, foreground, hooks, lifecycle, mountopts, namespaces, shape, state
from runtime.oci import create as creation
from runtime.oci.messages import ENGINE_FAILED, StartError
from runtime.shim import launch
from runtime.version import VERSION

if TYPE_CHECKING:
    import argparse
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
    options = commandline.parser(f"pycompose-oci {VERSION}\nspec: {hooks.OCI_VERSION}").parse_args(words)
    try:
        if options.verb in _ENTERING:
            _check_preserved(options.preserve_fds)
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


def _check_preserved(count: int) -> None:
    """Each must be the caller's: a number that is free now would become one of our own, leading out of the container."""
    for fd in range(_FIRST_KEPT, _FIRST_KEPT + count):
        try:
            os.fstat(fd)
        except OSError as error:
            raise InvalidParameter(f"preserve-fds {count}: descriptor {fd} is not open") from error


def _enter_sealed_copy(words: list[str]) -> None:
    if os.environ.pop(_SEALED, ""):
        return
    executable = launch.interpreter()
    copy = launch.sealed_copy(executable)
    argv = [executable, "-I", "-S", "-X", "utf8", "-c", _PROGRAM, launch.package_root(), *words]
    os.execve(f"/proc/self/fd/{copy}", argv, {**os.environ, _SEALED: "1"})


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
        keep=_kept(options),
    )


def _kept(options: argparse.Namespace) -> range:
    return range(_FIRST_KEPT, _FIRST_KEPT + options.preserve_fds)


def _run(options: argparse.Namespace) -> int:
    terminal = bool((lifecycle.read_spec(options.bundle).get("process") or {}).get("terminal"))
    with foreground.Terminal(wanted=terminal and not options.console_socket and not options.detach) as own:
        created = _create_from(options, options.console_socket or own.path)
        try:
            own.accept()
            if not options.detach:
                foreground.forward_signals(KERNEL, created.pidfd)
            lifecycle.start(KERNEL, options.root, options.id)
            if options.detach:
                return 0
            code = foreground.wait(created.pid, created.pidfd, own)
        except BaseException:
            lifecycle.delete(KERNEL, options.root, options.id, force=True)
            raise
    return code if options.keep else _delete_with(options, force=True) or code


def _exec(options: argparse.Namespace) -> int:
    process = _exec_process(options)
    ours = bool(process.get("terminal")) and not options.console_socket and not options.detach
    if ours:
        process |= foreground.console_size()  # its program may ask before we have the master
    with foreground.Terminal(wanted=ours) as own:
        console = own.channel(options.console_socket)
        pid, pidfd, errors = lifecycle.enter(
            KERNEL, options.root, options.id, process, stdio=(0, 1, 2), console=console, keep=_kept(options)
        )
        if not options.detach:
            foreground.forward_signals(KERNEL, pidfd)
        try:
            creation.wait_for_exec(errors)
        except StartError:
            os.waitpid(pid, 0)  # until it is reaped, the container's pid namespace cannot end
            raise
        own.accept()
        if options.pid_file:
            atomicfile.write_text(options.pid_file, str(pid), mode=0o644, sync=False)
        if options.detach:
            return 0
        return foreground.wait(pid, pidfd, own)


def _exec_process(options: argparse.Namespace) -> dict[str, Any]:
    if options.process:
        try:
            given: dict[str, Any] = shape.check(atomicfile.read_json(options.process), shape.PROCESS, options.process)
        except ValueError as error:
            raise InvalidParameter(f"{options.process}: {error}") from error
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
    if options.additional_gids:
        process["x-groups"] = [*process.get("x-groups", ()), *options.additional_gids]
    if options.no_new_privs:
        process["noNewPrivileges"] = True
    if options.cap:
        process["capabilities"] = _with_capabilities(process.get("capabilities") or {}, options.cap)
    return process


def _with_capabilities(sets: dict[str, list[str]], names: list[str]) -> dict[str, list[str]]:
    for name in names:
        if name not in capabilities.ALL:
            raise InvalidParameter(f"capability {name}: unknown")
    return sets | {kind: [*sets.get(kind, ()), *names] for kind in ("bounding", "effective", "permitted")}


def _start(options: argparse.Namespace) -> int:
    lifecycle.start(KERNEL, options.root, options.id)
    return 0


def _state(options: argparse.Namespace) -> int:
    print(json.dumps(_shown(state.load(options.root, options.id)), indent=2))
    return 0


def _shown(record: state.Record) -> dict[str, Any]:
    """runc's fields: the OCI state and where it came from."""
    return lifecycle.describe(record) | {"rootfs": _rootfs(record), "created": record.data.get("created", "")}


def _rootfs(record: state.Record) -> str:
    path = str((record.spec().get("root") or {}).get("path") or "")
    return path if path.startswith("/") else f"{record.data['bundle']}/{path}"


def _kill(options: argparse.Namespace) -> int:
    lifecycle.kill(KERNEL, options.root, options.id, signalnames.number(options.signal), everyone=options.all)
    return 0


def _delete(options: argparse.Namespace) -> int:
    return _delete_with(options, force=options.force)


def _delete_with(options: argparse.Namespace, *, force: bool) -> int:
    for failure in lifecycle.delete(KERNEL, options.root, options.id, force=force):
        _complain(options, failure, level="warning")
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
    rows = [row for name in names if (row := _row(options, name))]
    if options.format == "json":
        print(json.dumps(rows or None))
        return 0
    print(f"{'ID':<12} {'PID':<11} {'STATUS':<11} {'BUNDLE':<24} CREATED")
    for row in rows:
        print(f"{row['id']:<12} {row['pid']:<11} {row['status']:<11} {row['bundle']:<24} {row['created']}")
    return 0


def _row(options: argparse.Namespace, name: str) -> dict[str, Any] | None:
    """None for one that is damaged or was just deleted: the others are to be seen all the same."""
    try:
        shown = _shown(state.load(options.root, name))
    except NotFound:
        return None
    except EngineError as error:
        _complain(options, error.message, level="warning")
        return None
    return {"pid": 0} | shown


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
                    "capabilities": list(capabilities.NAMES),
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


def _complain(options: argparse.Namespace, message: str, level: str = "error") -> None:
    print(f"{commandline.PROGRAM}: {'' if level == 'error' else f'{level}: '}{message}", file=sys.stderr)
    if not options.log:
        return
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = (
        json.dumps({"level": level, "msg": message, "time": at})
        if options.log_format == "json"
        else f'time="{at}" level={level} msg={json.dumps(message)}'
    )
    try:
        with open(options.log, "a", encoding="utf-8") as file:
            print(line, file=file)
    except OSError as error:
        print(f"{commandline.PROGRAM}: {options.log}: {error.strerror}", file=sys.stderr)

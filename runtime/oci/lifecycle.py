"""The OCI verbs on containers that live on disk, without an engine: create, start, state, kill, delete.

create ends while its container waits, so the container listens on a socket of its own, the gate, until start connects.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from errno import ECONNREFUSED, ENOENT
from typing import TYPE_CHECKING, Any, Final

from runtime.cgroups import layout
from runtime.errors import Conflict, EngineError, InvalidParameter, NotFound, SystemFailure
from runtime.linux import atomicfile, pidfd, procfs
from runtime.oci import create as creation
from runtime.oci import execin, hooks, messages, plan, shape, state
from runtime.wire import unixsocket

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.cgroups.manager import Manager
    from runtime.linux.syscalls import Kernel

_KILL_SECONDS: Final = 10.0
_NO_CONSOLE: Final = "terminal: needs a console socket to send its master to"
_PARENT_CGROUP: Final = "pycompose/oci"  # beside those that engines call after themselves


def read_spec(bundle: str) -> dict[str, Any]:
    """config.json of a bundle; raises NotFound, InvalidParameter."""
    path = f"{bundle}/config.json"
    try:
        spec = atomicfile.read_json(path)
    except FileNotFoundError as error:
        raise NotFound(f"bundle {bundle}: has no config.json") from error
    except ValueError as error:
        raise InvalidParameter(f"{path}: {error}") from error
    except IsADirectoryError as error:
        raise InvalidParameter(f"{path}: is a directory") from error
    checked: dict[str, Any] = shape.check(spec, shape.SPEC, "config.json")
    return checked


def create(
    kernel: Kernel,
    root: str,
    container: str,
    bundle: str,
    *,
    console_socket: str = "",
    pid_file: str = "",
    stdio: creation.Stdio = (0, 1, 2),
    keep: Sequence[int] = (),
) -> creation.Created:
    """Create the container and leave it waiting at its gate; whatever fails is undone. Raises EngineError."""
    bundle = os.path.realpath(bundle)
    spec = read_spec(bundle)
    if (spec.get("process") or {}).get("terminal") and not console_socket:
        raise InvalidParameter(_NO_CONSOLE)
    cgroup = _manager(spec, container)
    if cgroup.pids():
        raise Conflict(f"cgroup {cgroup.name}: has processes already, and would be killed with the container")
    record = state.make(root, container, spec, bundle, cgroup.name)
    created = None
    try:
        with unixsocket.listen(record.gate) as gate, _connected(console_socket) as console:
            cgroup.create((spec.get("linux") or {}).get("resources") or {})
            created = creation.create(
                kernel,
                spec,
                bundle=bundle,
                container=container,
                stdio=stdio,
                cgroup=cgroup,
                console=console.fileno() if console_socket else None,
                keep=keep,
                gate=gate.fileno(),
            )
        record.data |= {
            "pid": created.pid,
            "start_time": procfs.start_time(created.pid),
            "boot_id": procfs.boot_id(),
            "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
        record.save()
        if pid_file:
            atomicfile.write_text(pid_file, str(created.pid), mode=0o644, sync=False)
        if not messages.send(created.sync, messages.GO):
            raise Conflict(f"container {container}: was killed while it was made")
    except BaseException:
        try:
            if created is not None:
                pidfd.send_signal(kernel, created.pidfd, signal.SIGKILL)
                os.waitpid(created.pid, 0)
            _remove_cgroup(cgroup)
        finally:
            record.remove()
        raise
    os.close(created.sync)
    created.sync = -1
    return created


def start(kernel: Kernel, root: str, container: str) -> None:
    """Open the gate; returns when the program runs. Raises Conflict, StartError, SystemFailure of a poststart hook."""
    record = state.load(root, container)
    if record.status() != "created":
        raise Conflict(f"container {container}: cannot be started, it is {record.status()}")
    opened = f"{record.gate}.opened"
    try:
        os.rename(record.gate, opened)  # one of several that come at once is let through
        sync = unixsocket.connect(opened, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in {ECONNREFUSED, ENOENT}:
            raise Conflict(f"container {container}: is not waiting for its start") from error
        raise
    with sync:
        os.unlink(opened)
        creation.wait_for_exec(sync.fileno())
    spec = record.spec()
    after = hooks.parse(spec).get("poststart")
    if not after:
        return
    try:
        hooks.run(kernel, "poststart", after, describe(record))
    except EngineError:
        _kill_first(kernel, record)
        raise


def describe(record: state.Record) -> dict[str, Any]:
    """The OCI state of a container."""
    status = record.status()
    pid = 0 if status in {"stopped", "creating"} else record.data["pid"]
    return hooks.state(record.spec(), container=record.data["id"], status=status, pid=pid, bundle=record.data["bundle"])


def kill(kernel: Kernel, root: str, container: str, signum: int, *, everyone: bool = False) -> None:
    """Signal the first process, or every process of the container. Raises Conflict when it does not run."""
    record = state.load(root, container)
    cgroup = manager_of(record)
    if everyone:
        first = [record.data["pid"]] if record.alive() else []  # it joins the cgroup only when it is started
        for pid in {*first, *cgroup.pids()}:
            try:
                if pid > 0:  # 0 is one outside our pid namespace, and would be our own process group
                    os.kill(pid, signum)
            except ProcessLookupError:
                continue
        return
    if record.status() not in {"created", "running", "paused"}:
        raise Conflict(f"container {container}: not running")
    handle = pidfd.open_checked(kernel, record.data["pid"], record.data["start_time"])
    try:
        pidfd.send_signal(kernel, handle, signum)
    finally:
        os.close(handle)
    if signum == signal.SIGKILL:
        cgroup.thaw()


def delete(kernel: Kernel, root: str, container: str, *, force: bool = False) -> list[str]:
    """Remove a stopped container, with `force` one in any state, also damaged or not there; returns what hooks failed.

    Raises Conflict.
    """
    try:
        record = state.load(root, container)
    except (NotFound, SystemFailure):
        if not force:
            raise
        record = state.without_state(root, container)
        if not os.path.isdir(record.directory):
            return []
    cgroup = manager_of(record)
    status = record.status()
    if status not in {"stopped", "creating"}:
        if not force and status != "created":
            raise Conflict(f"container {container}: cannot be deleted, it is {status}")
        _kill_first(kernel, record)
    cgroup.kill_all()
    after = _poststop(record)
    final = describe(record) | {"status": "stopped"} if after else {}
    _remove_cgroup(cgroup)
    record.remove()
    return hooks.run_all(kernel, "poststop", after, final)


def enter(
    kernel: Kernel,
    root: str,
    container: str,
    process: dict[str, Any],
    *,
    stdio: creation.Stdio,
    console: int | None,
    keep: Sequence[int] = (),
) -> tuple[int, int, int]:
    """Put a further process into a running container: (pid, pidfd, error pipe), see execin.enter."""
    record = state.load(root, container)
    if record.status() != "running":
        raise Conflict(f"container {container}: cannot exec, it is {record.status()}")
    if process.get("terminal") and console is None:
        raise InvalidParameter(_NO_CONSOLE)
    spec = record.spec()
    handle = pidfd.open_checked(kernel, record.data["pid"], record.data["start_time"])
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    cgroup = manager_of(record)
    cgroup.create({})
    kinds = {entry.get("type") for entry in spec["linux"]["namespaces"]}
    target = execin.Target(handle, own, plan.seccomp_program(spec)[0], user="user" in kinds, time="time" in kinds)
    try:
        return execin.enter(kernel, target, process, stdio=stdio, cgroup=cgroup, console=console, keep=keep)
    finally:
        os.close(handle)
        os.close(own)


def manager_of(record: state.Record) -> Manager:
    """The cgroup on record."""
    return layout.detect().manager(record.data.get("cgroup") or f"{_PARENT_CGROUP}/{record.data['id']}")


def _manager(spec: dict[str, Any], container: str) -> Manager:
    path = str((spec.get("linux") or {}).get("cgroupsPath") or f"{_PARENT_CGROUP}/{container}")
    name = os.path.normpath("/" + path).strip("/")
    if not name or name.startswith(".."):
        raise InvalidParameter(f"cgroupsPath {path}: names no cgroup")
    return layout.detect().manager(name)


class _connected:  # noqa: N801  used as a statement: `with _connected(path) as socket`
    """A stream socket, connected if there is a path to connect to."""

    __slots__ = ("_path", "_socket")

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> socket.socket:
        if self._path:
            self._socket = unixsocket.connect(self._path, socket.SOCK_STREAM)
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        return self._socket

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _poststop(record: state.Record) -> list[dict[str, Any]]:
    try:
        return hooks.parse(record.spec()).get("poststop") or []
    except (EngineError, ValueError):  # a damaged record must be removable
        return []


def _kill_first(kernel: Kernel, record: state.Record) -> None:
    try:
        handle = pidfd.open_checked(kernel, record.data["pid"], record.data["start_time"])
    except NotFound:
        return
    try:
        pidfd.send_signal(kernel, handle, signal.SIGKILL)
        manager_of(record).thaw()
        if not pidfd.wait_gone(handle, _KILL_SECONDS):
            raise Conflict(f"container {record.data['id']}: did not end within {_KILL_SECONDS:g} s of SIGKILL")
    finally:
        os.close(handle)


def _remove_cgroup(cgroup: Manager) -> None:
    """Processes that were just killed leave their cgroup a moment later."""
    deadline = time.monotonic() + 2.0
    while True:
        try:
            cgroup.delete()
        except EngineError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            layout.detect().prune(os.path.dirname(cgroup.name))
            return

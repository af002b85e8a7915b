"""Build the container, in an errand: sockets, pipes, spec, root file system, first process.

The container's first process is made with CLONE_PARENT: its parent is the shim, not the process that ran the errand.
"""

from __future__ import annotations

import _socket
import json
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter
from runtime.linux import procfs
from runtime.oci import create
from runtime.shim import errand, exitrecord, orphans, rendezvous, streams
from runtime.shim.logfile import LogFile
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel
    from runtime.oci.messages import StartError

HELD = "held:"
"""A namespace path that names a descriptor the shim holds."""


class Built:
    """What the builder leaves to the shim, which owns the descriptors; `failure` is set where no container came of it."""

    __slots__ = ("ends", "failure", "mark", "pid", "pidfd", "socket", "start_time", "sync")

    def __init__(self) -> None:
        self.socket = -1
        self.mark: list[int] = []
        """What tells our socket's file from another run's."""
        self.pid = 0
        self.start_time = 0
        self.pidfd = -1
        self.sync = -1
        self.ends: list[int | None] = [None, None, None]
        """Our sides of the container's stdin, stdout and stderr."""
        self.failure: StartError | None = None


class Made:
    """A container that waits for its start, in the builder."""

    __slots__ = ("ends", "pid", "pidfd", "skipped", "sync")

    def __init__(self, pid: int, pidfd: int, sync: int, ends: streams.Ends, skipped: list[str]) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.sync = sync
        self.ends = ends
        self.skipped = skipped


def build(
    kernel: Kernel,
    layout: Layout,
    request: dict[str, Any],
    *,
    control: int,
    held: dict[str, int],
    make: Callable[[Kernel, Layout, dict[str, Any], dict[str, int]], Made],
) -> Built:
    """Let `make` make the container up to the point before its program runs, and tell `control` so.

    Failures are in the result.
    """
    message, fds = errand.run(lambda: _build(kernel, layout, request, control=control, held=held, make=make))
    built = Built()
    built.mark = message.get("mark", [])
    for name, fd in zip(message["fds"], fds, strict=True):
        if name in _ENDS:
            built.ends[_ENDS[name]] = fd
        else:
            setattr(built, name, fd)
    if request.get("tty"):
        built.ends[0] = built.ends[1]
    if "error" in message:
        errand.reap_all()
        built.failure = errand.start_error(message)
        return built
    built.pid, built.start_time = message["pid"], message["start_time"]
    return built


_ENDS = {"stdin": 0, "stdout": 1, "stderr": 2}


def read_spec(bundle: str) -> dict[str, Any]:
    """The bundle's config.json. Raises InvalidParameter."""
    try:
        with open(f"{bundle}/config.json", encoding="utf-8") as stream:
            found = json.load(stream)
    except (OSError, ValueError) as error:
        raise InvalidParameter(f"bundle {bundle}: its config.json cannot be read: {error}") from None
    if not isinstance(found, dict):
        raise InvalidParameter(f"bundle {bundle}: its config.json is not an object")
    return found


def _build(
    kernel: Kernel,
    layout: Layout,
    request: dict[str, Any],
    *,
    control: int,
    held: dict[str, int],
    make: Callable[[Kernel, Layout, dict[str, Any], dict[str, int]], Made],
) -> errand.Outcome:
    fds: dict[str, int] = {}
    mark: list[int] = []
    try:
        exitrecord.remove(request["exit_record"])
        fds["socket"], mark = rendezvous.bind(request["socket"])
        made = make(kernel, layout, request, held)
        start_time = procfs.start_time(made.pid)
        orphans.note(request["bundle"], made.pid, start_time)
        _announce(control, made, start_time)
    except Exception as error:  # whatever it was, the shim lives on to tell the engine
        return {"fds": list(fds), "mark": mark, **errand.failure(error)}, list(fds.values())
    ends = {"stdin": made.ends.stdin, "stdout": made.ends.stdout, "stderr": made.ends.stderr}
    if request.get("tty"):
        del ends["stdin"]  # one open file: sent twice, it would be two descriptors
    fds |= {"pidfd": made.pidfd, "sync": made.sync} | {name: fd for name, fd in ends.items() if fd is not None}
    return {"pid": made.pid, "start_time": start_time, "fds": list(fds), "mark": mark}, list(fds.values())


def _announce(control: int, made: Made, start_time: int) -> None:
    """Tell the engine; one that is gone will be told when another says hello."""
    message: dict[str, Any] = {"type": "created", "pid": made.pid, "start_time": start_time}
    if made.skipped:
        message["warnings"] = [f"{file}: not supported by this kernel, limit dropped" for file in made.skipped]
    peer = _socket.socket(fileno=control)
    try:
        seqpacket.send(peer, message, [made.pidfd])
    except OSError:
        pass
    finally:
        peer.detach()


def make_container(kernel: Kernel, layout: Layout, request: dict[str, Any], held: dict[str, int]) -> Made:
    """The container, waiting for its start. Raises EngineError, OSError, and what a malformed request makes."""
    if request.get("log"):
        # The shim opens it with the first output: that it can be had is to be known now, and it shall be there to read.
        LogFile(request["log"]["path"]).close()
    spec = _resolved(read_spec(request["bundle"]), request, held)
    cgroup = layout.manager(request["cgroup"])
    skipped = cgroup.create((spec.get("linux") or {}).get("resources") or {})
    ends = streams.terminal() if request.get("tty") else streams.pipes(stdin=bool(request.get("stdin")))
    made = create.create(
        kernel,
        spec,
        bundle=request["bundle"],
        container=request["id"],
        stdio=ends.child,
        cgroup=cgroup,
        console=ends.console,
        sibling=True,
    )
    ends.close_child()
    ends.take_master()
    if not request.get("tty"):
        for fd in (ends.stdout, ends.stderr):
            if fd is not None:
                streams.widen(fd)
    return Made(made.pid, made.pidfd, made.sync, ends, skipped)


def _resolved(spec: dict[str, Any], request: dict[str, Any], held: dict[str, int]) -> dict[str, Any]:
    """The spec with `held:NAME` namespace paths turned into descriptors of ours."""
    spec["process"]["terminal"] = bool(request.get("tty"))
    for namespace in (spec.get("linux") or {}).get("namespaces") or ():
        path = namespace.get("path") or ""
        if not path.startswith(HELD):
            continue
        fd = held.get(path[len(HELD) :])
        if fd is None:
            raise InvalidParameter(f"namespace {namespace.get('type')}: no held descriptor {path[len(HELD) :]}")
        namespace["path"] = f"/proc/self/fd/{fd}"
    return spec

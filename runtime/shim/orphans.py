"""What becomes of a container whose shim was killed: it is ended, and its end recorded.

The zygote is the reaper of its descendants, so the orphan's first process becomes its child, among others of this
container and of those whose shims were killed with it; a link in the bundle says which one it is. Nobody reads its
stdio any more.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, TypedDict

from runtime.errors import NotFound, SyscallError
from runtime.linux import procfs
from runtime.shim import clock, exitrecord
from runtime.shim.loop import complain

if TYPE_CHECKING:
    from runtime.cgroups.layout import Layout


INIT = "init"
"""The link in the bundle: pid and start time of the container's first process are its target, which takes no page."""


class Lost(TypedDict):
    """What the zygote remembers of a shim."""

    id: str
    bundle: str
    cgroup: str
    exit_record: str


def note(bundle: str, pid: int, start_time: int) -> None:
    """Leave word of the container's first process, for whoever outlives its shim. Raises OSError."""
    try:
        os.unlink(f"{bundle}/{INIT}")
    except FileNotFoundError:
        pass
    os.symlink(f"{pid} {start_time}", f"{bundle}/{INIT}")


def kill(layout: Layout, lost: Lost) -> int | None:
    """Kill the container; returns its first process if that is the caller's child, which will be reaped by it."""
    init = _init(lost["bundle"])
    if init is not None:
        os.kill(init, signal.SIGKILL)
    layout.manager(lost["cgroup"]).kill_all()
    complain(f"container {lost['id']}: its shim was killed, and the container with it")
    return init


def record(layout: Layout, lost: Lost, status: int) -> None:
    """Write the exit record of an orphan that the caller has reaped, unless its shim did before it died."""
    manager = layout.manager(lost["cgroup"])
    message = exitrecord.exited(status, oom=manager.oom_kill_count() > 0, at=clock.now())
    try:
        if not os.path.exists(lost["exit_record"]):
            exitrecord.write(lost["exit_record"], message)
        manager.delete()
    except (OSError, SyscallError) as error:
        complain(f"container {lost['id']}: {error}")


def _children() -> list[int]:
    try:
        with open("/proc/thread-self/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _init(bundle: str) -> int | None:
    """The process that the bundle's link names; one that its shim has reaped is none, whoever has its number now."""
    try:
        pid, start_time = map(int, os.readlink(f"{bundle}/{INIT}").split())
        known = procfs.start_time(pid) == start_time
    except (OSError, ValueError, NotFound):  # the shim was killed before there was one
        return None
    return pid if known and pid in _children() else None

"""What becomes of a container whose shim was killed: it is ended, and its end recorded.

The zygote is the reaper of its descendants, so the orphan's pid 1 becomes its child. Nobody reads its stdio any more.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, TypedDict

from runtime.errors import SyscallError
from runtime.shim import clock, exitrecord
from runtime.shim.loop import complain

if TYPE_CHECKING:
    from runtime.cgroups.layout import Layout


class Lost(TypedDict):
    """What the zygote remembers of a shim."""

    id: str
    cgroup: str
    exit_record: str


def kill(layout: Layout, lost: Lost, shims: set[int]) -> list[int]:
    """Kill the container; returns those of its processes that are the caller's children and will be reaped by it."""
    manager = layout.manager(lost["cgroup"])
    members = set(manager.pids())
    inits = [pid for pid in _children() if pid not in shims and _first_in_namespace(pid)]
    if layout.version:
        inits = [pid for pid in inits if pid in members]
    for pid in inits:
        os.kill(pid, signal.SIGKILL)
    manager.kill_all()
    complain(f"container {lost['id']}: its shim was killed, and the container with it")
    return inits


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


def _first_in_namespace(pid: int) -> bool:
    """Whether the process is pid 1 of a pid namespace below ours."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("NSpid:"):
                    return len(line.split()) > 2 and line.split()[-1] == "1"
    except OSError:
        pass
    return False

"""The processes of an engine: those that write its log, and those below them.

Engine, zygote, shims and workers have the log as their standard error from the first instruction on, also after it was
deleted; sockets and pid files may be gone. A shim that sees the engine end starts another: all are stopped, then killed.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING, Final

from runtime.errors import NotFound, SyscallError, SystemFailure
from runtime.linux import pidfd, procfs
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.paths import Paths

_STDERR: Final = "fd/2"
_DELETED: Final = " (deleted)"
_PATIENCE: Final = 10.0
"""Seconds until killed processes must be gone."""


def writers() -> Iterator[tuple[int, str]]:
    """(pid, data root) of every process of ours on this machine, of any engine."""
    for pid in _pids():
        try:
            target = os.readlink(f"/proc/{pid}/{_STDERR}").removesuffix(_DELETED)
        except OSError:
            continue
        folder, name = os.path.split(target)
        if name == "engine.log" and pid != os.getpid():
            yield pid, folder


def of(paths: Paths) -> list[int]:
    """The engine's own processes, and all that descends from them: what runs in its containers."""
    root = os.path.realpath(paths.root)
    own = {pid for pid, folder in writers() if folder == root}
    parents = {pid: _parent(pid) for pid in _pids()}
    grown = True
    while grown:
        below = {pid for pid, parent in parents.items() if parent in own and pid not in own}
        own |= below
        grown = bool(below)
    return sorted(own - {os.getpid(), os.getppid()})


def end(paths: Paths) -> int:
    """Kill them all and wait until they are gone; how many there were. Raises SystemFailure if some stay."""
    ended = 0
    deadline = time.monotonic() + _PATIENCE
    while pids := of(paths):
        held = [fd for pid in pids if (fd := _hold(pid)) is not None]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for fd in held:
                pidfd.send_signal(KERNEL, fd, number)
        for fd in held:
            ended += pidfd.wait_gone(fd, max(deadline - time.monotonic(), 0.0))
            os.close(fd)
        if time.monotonic() > deadline:
            raise SystemFailure(f"processes {', '.join(map(str, of(paths)))} of the engine do not end")
    return ended


def _hold(pid: int) -> int | None:
    """A pidfd of the process as it is now: a pid may be another's by the time it is signalled."""
    try:
        return pidfd.open_checked(KERNEL, pid, procfs.start_time(pid))
    except (NotFound, SyscallError):
        return None


def _pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as stream:
            return int(stream.read().rpartition(b")")[2].split()[1])
    except OSError:
        return 0

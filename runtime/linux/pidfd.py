"""Name a process for good: pid with start time, signalled through a pidfd.

A pid alone is reused by the kernel; a pidfd never is, and pid + start time (clock ticks since boot) survives on disk.
"""

from __future__ import annotations

import os
import select
from errno import ESRCH
from typing import TYPE_CHECKING

from runtime.errors import NotFound, SyscallError
from runtime.linux import procfs

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel


def open_checked(kernel: Kernel, pid: int, start_time: int) -> int:
    """A pidfd of process `pid` that began at `start_time` (ticks since boot); `NotFound` if it is gone or another."""
    try:
        pidfd = kernel.pidfd_open(pid)
    except SyscallError as error:
        if error.errno == ESRCH:
            raise NotFound(f"process {pid}: no longer there") from error
        raise
    try:
        found = procfs.start_time(pid)
    except NotFound:
        os.close(pidfd)
        raise
    if found != start_time:
        os.close(pidfd)
        raise NotFound(f"process {pid}: the pid belongs to another process now")
    return pidfd


def send_signal(kernel: Kernel, pidfd: int, signum: int) -> bool:
    """Signal the process; False if it was gone already."""
    try:
        kernel.pidfd_send_signal(pidfd, signum)
    except SyscallError as error:
        if error.errno == ESRCH:
            return False
        raise
    return True


def wait_gone(pidfd: int, timeout: float | None = None) -> bool:
    """Wait up to `timeout` seconds for the end of the process (without reaping it); False if it still runs."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout is None else timeout * 1000))

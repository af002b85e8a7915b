"""A pid 1 that only forwards signals and reaps: `init: true`.

All signals stay blocked and are taken by sigwait: blocked ones are queued even for pid 1, which has no default actions.
It never executes anything, so close-on-exec does not help it: every descriptor beyond stdio is closed by hand.
"""

from __future__ import annotations

import os
import signal
from errno import ENOTTY
from typing import TYPE_CHECKING, Final, NoReturn

from runtime.linux import constants as c

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel

_NOT_FORWARDED: Final = frozenset({signal.SIGCHLD, signal.SIGTTIN, signal.SIGTTOU})
_ALL: Final = signal.valid_signals()


def run(kernel: Kernel, execute: Callable[[], None]) -> None:
    """Fork: returns in the child, which is the command and calls `execute` itself; the parent stays here as pid 1."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _ALL)
    child = os.fork()
    if child == 0:
        _own_group()
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        execute()
        return
    _reap(kernel, child)


def _own_group() -> None:
    """The command leads its own process group, in the foreground if there is a terminal."""
    os.setpgid(0, 0)
    try:
        os.tcsetpgrp(0, os.getpgrp())
    except OSError as error:
        if error.errno != ENOTTY:  # stdin is no terminal of ours
            return


def _hide_command_line(kernel: Kernel) -> None:
    """Not the host's paths; readable by our own process although it is not dumpable."""
    try:
        fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # a container without /proc has no ps to look either
        return
    fields = os.read(fd, 4096).rpartition(b")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    if 0 < start < end:
        kernel.set_command_line(start, end, b"init\0")


def _reap(kernel: Kernel, child: int) -> NoReturn:
    kernel.prctl(c.PR_SET_DUMPABLE, 0)  # the host's interpreter and its memory are not the container's to look at
    kernel.set_name("init")
    _hide_command_line(kernel)
    kernel.close_range(3)
    os.chdir("/")
    while True:
        number = signal.sigwait(_ALL)
        if number not in _NOT_FORWARDED:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                pass
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                os._exit(0)
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(128 - code if code < 0 else code)

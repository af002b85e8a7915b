"""Find out whether the kernel lets us do a thing by doing it, in a child that ends with it.

Namespaces, mounts and filters of the child are gone with the child: only what it leaves on disk must be cleaned up.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_LIMIT = 10.0
_TEXT_LIMIT = 4096


def attempt(action: Callable[[], object], *, time_limit: float = TIME_LIMIT) -> str | None:
    """Run `action` in a forked child; None if it returned, else why not, in words.

    Only for a process without other threads. A child that takes longer than `time_limit` seconds is killed.
    """
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _run_and_leave(action, write_end)
    os.close(write_end)
    try:
        ready, _, _ = select.select([read_end], [], [], time_limit)
        if not ready:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return f"no answer within {time_limit:g} s"
        answer = os.read(read_end, _TEXT_LIMIT).decode("utf-8", "replace")
    finally:
        os.close(read_end)
    status = os.waitpid(pid, 0)[1]
    if os.WIFSIGNALED(status):
        return f"ended by {signal.Signals(os.WTERMSIG(status)).name}"
    return answer or (None if status == 0 else f"exit status {os.waitstatus_to_exitcode(status)}")


def _run_and_leave(action: Callable[[], object], write_end: int) -> None:
    status = 1
    try:
        action()
        status = 0
    except BaseException as error:  # whatever it is, it must neither unwind into the parent's code nor be lost
        text = str(error).partition("\n")[0] or type(error).__name__
        os.write(write_end, text.encode("utf-8", "replace")[:_TEXT_LIMIT])
    finally:
        os._exit(status)

"""Run a health check in the container: bounded in time and in what is kept of its output.

All of the output is read, or a probe that says much would hang; the first bytes are kept.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runtime.shim import clock, exitrecord, processtree, streams
from runtime.shim.child import Child
from runtime.shim.loop import READ

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel
    from runtime.oci.messages import StartError
    from runtime.shim.loop import Loop

DEFAULT_OUTPUT = 4096
"""Bytes kept when the request does not say."""

TIMED_OUT = -1
"""Exit code of a probe that was killed for its time."""

_READ_SIZE = 64 * 1024
_DRAIN_READS = 64


class Probe:
    """One run; `done(result)` is called once with a `probe_result` message."""

    __slots__ = (
        "_candidates",
        "_child",
        "_done",
        "_failed",
        "_fd",
        "_id",
        "_loop",
        "_max_output",
        "_output",
        "_start",
        "_timed_out",
        "_timer",
        "_truncated",
    )

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        *,
        request: dict[str, Any],
        enter: Callable[[dict[str, Any], streams.Ends], tuple[int, int, int]],
        candidates: Callable[[], list[int]],
        done: Callable[[dict[str, Any]], None],
    ) -> None:
        """Raises EngineError, OSError when the process cannot be forked."""
        self._loop = loop
        self._id = request["id"]
        self._max_output = int(request.get("max_output") or DEFAULT_OUTPUT)
        self._candidates = candidates
        self._done = done
        self._output = bytearray()
        self._truncated = False
        self._timed_out = False
        self._failed = 0
        self._start = clock.now()
        # Before the fork: what a malformed request raises must leave nothing behind.
        timeout = float(request["timeout"])
        ends = streams.pipes(stdin=False, merge=True)
        self._fd = ends.stdout
        try:
            entered = enter(request["process"], ends)
        except BaseException:
            ends.close_all()
            raise
        ends.close_child()
        self._child = Child(loop, kernel, entered, self._began, self._ended)
        self._timer = loop.later(timeout, self._expire)
        if self._fd is not None:
            loop.watch(self._fd, READ, self._read)

    def cancel(self) -> None:
        """Kill it; the result still comes."""
        processtree.kill(self._child.pid, self._candidates())

    def _expire(self) -> None:
        self._timed_out = True
        self.cancel()

    def _began(self, failure: StartError | None) -> None:
        if failure is not None:
            self._failed = failure.exit_code
            self._keep(failure.message.encode())

    def _read(self, events: int) -> None:
        self._read_once()

    def _read_once(self) -> bool:
        """Whether something was read; closes the pipe at its end."""
        if self._fd is None:
            return False
        try:
            data = os.read(self._fd, _READ_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self._close()
            return False
        self._keep(data)
        return True

    def _keep(self, data: bytes) -> None:
        room = self._max_output - len(self._output)
        self._output += data[:room]
        self._truncated = self._truncated or len(data) > room

    def _ended(self, status: int) -> None:
        self._timer.cancel()
        # What the probe wrote is in the pipe; a process it left behind may write on, which is not waited for.
        for _ in range(_DRAIN_READS):
            if not self._read_once():
                break
        self._close()
        code = TIMED_OUT if self._timed_out else self._failed or exitrecord.exit_code(status)
        text = self._output.decode("utf-8", "replace")
        result = {
            "type": "probe_result",
            "id": self._id,
            "exit_code": code,
            "output": f"{text}..." if self._truncated else text,
            "timed_out": self._timed_out,
            "start": self._start,
            "end": clock.now(),
        }
        self._done(result)

    def _close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._loop.unwatch(fd)
            os.close(fd)


def failed(request: dict[str, Any], error: Exception) -> dict[str, Any]:
    """The result of a probe that could not be forked."""
    at = clock.now()
    return {
        "type": "probe_result",
        "id": request.get("id"),
        "exit_code": TIMED_OUT,
        "output": str(error),
        "timed_out": False,
        "start": at,
        "end": at,
    }

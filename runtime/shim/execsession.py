"""A process entered into the container for one client: streams, terminal, signals, exit code.

A client that is slow stops the reading, so the process waits in its pipe; a client that is gone leaves it running
without a reader, except on a terminal, which hangs up.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter
from runtime.linux import signalnames
from runtime.shim import exitrecord, streams
from runtime.shim.child import Child
from runtime.shim.loop import READ
from runtime.shim.pipeinput import PipeInput
from runtime.wire import frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel
    from runtime.oci.messages import StartError
    from runtime.shim.connection import Connection
    from runtime.shim.loop import Loop

READ_SIZE = 64 * 1024
_DRAIN_READS = 64
_TERMINAL_GRACE = 0.05
"""Seconds: what is written to a terminal reaches the master a moment later, which only its end makes sure of."""


class ExecSession:
    """One exec: the client is told that it began, what it wrote and how it ended."""

    __slots__ = (
        "_child",
        "_client",
        "_early",
        "_ends",
        "_input",
        "_loop",
        "_outputs",
        "_status",
        "_terminal",
    )

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        *,
        client: Connection,
        request: dict[str, Any],
        enter: Callable[[dict[str, Any], streams.Ends], tuple[int, int, int]],
    ) -> None:
        """Raises EngineError, OSError when the process cannot be forked."""
        self._loop = loop
        self._client: Connection | None = client
        self._status: int | None = None
        self._outputs: dict[int, int] = {}
        self._input: PipeInput | None = None
        # Frames that came before the process began; the client can send at most what its START left in one read,
        # for it is told STARTED only then.
        self._early: list[tuple[int, bytes]] | None = []
        self._terminal = bool(request.get("tty"))
        detached = bool(request.get("detach"))
        if detached:
            self._ends = streams.nowhere()
        elif self._terminal:
            self._ends = streams.terminal()
        else:
            self._ends = streams.pipes(stdin=bool(request.get("stdin")))
        try:
            entered = enter(request["process"], self._ends)
        except BaseException:
            self._ends.close_all()
            raise
        self._ends.close_child()
        client.on_frame = self._frame
        client.on_close = self._client_gone
        client.on_drain = self._watch_outputs
        self._child = Child(loop, kernel, entered, lambda failure: self._began(failure, detached=detached), self._ended)

    def _began(self, failure: StartError | None, *, detached: bool) -> None:
        early, self._early = self._early or [], None
        gone = self._client is None
        if failure is not None:
            self._ends.close_all()
            self._refuse(failure)
            return
        if self._client is not None:
            self._client.send_json(frames.STARTED, {"Pid": self._child.pid})
        if detached:
            self._detach(b"")
        self._take_ends()
        for kind, payload in early:
            self._frame(kind, payload)
        if gone:
            # It left before there was anything to hang up.
            self._client_gone()

    def _take_ends(self) -> None:
        ends = self._ends
        ends.take_master()
        if ends.stdin is not None:
            self._input = PipeInput(self._loop, ends.stdin, terminal=self._terminal)
            self._input.on_drain = self._resume_client
        if ends.stdout is not None:
            self._outputs[ends.stdout] = frames.STDOUT
        if ends.stderr is not None:
            self._outputs[ends.stderr] = frames.STDERR
        self._watch_outputs()

    def _refuse(self, failure: StartError) -> None:
        wire = failure.to_wire()
        wire["fields"] = {**wire["fields"], "stage": failure.stage, "exit_code": failure.exit_code}
        client, self._client = self._client, None
        if client is not None:
            client.finish(frames.ERROR, wire)

    def _frame(self, kind: int, payload: bytes) -> None:
        if self._early is not None:
            self._early.append((kind, payload))
            return
        handler = _FRAMES.get(kind)
        if handler is None:
            return
        try:
            handler(self, payload)
        except (ValueError, OSError, InvalidParameter):
            if self._client is not None:
                self._client.close()

    def _stdin(self, payload: bytes) -> None:
        if self._input is None:
            return
        self._input.write(payload)
        if self._input.full and self._client is not None:
            self._client.pause()

    def _eof(self, payload: bytes) -> None:
        if self._input is not None:
            self._input.end()

    def _resize(self, payload: bytes) -> None:
        if self._terminal:
            for fd in self._outputs:
                streams.resize(fd, payload)

    def _signal(self, payload: bytes) -> None:
        self._child.signal(signalnames.number(payload.decode()))

    def _detach(self, payload: bytes) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.finish()
        self._watch_outputs()

    def _resume_client(self) -> None:
        if self._client is not None:
            self._client.resume()

    def _client_gone(self) -> None:
        self._client = None
        if self._terminal:
            # Closing the master hangs up the session, as a terminal window does.
            self._close_outputs()
            if self._input is not None:
                self._input.close()
            return
        self._eof(b"")
        self._watch_outputs()

    def _watch_outputs(self) -> None:
        for fd in self._outputs:
            if not self._loop.watching(fd):
                self._loop.watch(fd, READ, partial(self._ready, fd))

    def _ready(self, fd: int, events: int) -> None:
        self._read(fd)

    def _read(self, fd: int) -> bool:
        """Whether something was read; closes the stream at its end."""
        try:
            data = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return False
        except OSError:  # EIO: no process has the terminal any more
            data = b""
        if not data:
            self._loop.unwatch(fd)
            os.close(fd)
            del self._outputs[fd]
            return False
        client = self._client
        if client is not None:
            client.send(self._outputs[fd], data)
            if client.congested:
                for output in self._outputs:
                    self._loop.unwatch(output)
        return True

    def _ended(self, status: int) -> None:
        self._status = status
        self._drain()
        # A terminal that nobody has open any more has ended with all that was written to it.
        if self._terminal and self._outputs:
            self._loop.later(_TERMINAL_GRACE, self._finish)
        else:
            self._finish()

    def _drain(self) -> None:
        # What the process wrote is in the pipes; one it left behind may write on, which is not waited for.
        for fd in list(self._outputs):
            for _ in range(_DRAIN_READS):
                if not self._read(fd):
                    break

    def _finish(self) -> None:
        self._drain()
        self._close_outputs()
        if self._input is not None:
            self._input.close()
        code = exitrecord.exit_code(self._status or 0)
        if self._client is not None:
            self._client.finish(frames.EXIT, {"ExitCode": code})
            self._client = None

    def _close_outputs(self) -> None:
        for fd in self._outputs:
            self._loop.unwatch(fd)
            os.close(fd)
        self._outputs.clear()


_FRAMES: dict[int, Callable[[ExecSession, bytes], None]] = {
    frames.STDIN: ExecSession._stdin,  # noqa: SLF001 - the table of this class
    frames.EOF: ExecSession._eof,  # noqa: SLF001
    frames.RESIZE: ExecSession._resize,  # noqa: SLF001
    frames.SIGNAL: ExecSession._signal,  # noqa: SLF001
    frames.DETACH: ExecSession._detach,  # noqa: SLF001
}

"""The container's own stdio: into the log, out to attached clients, in from those with stdin.

A client that takes nothing for ten seconds is dropped, so that it delays the container but never stops it.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.shim import clock, streams
from runtime.shim.jsonlines import Formatter
from runtime.shim.logfile import LogFile
from runtime.shim.loop import READ
from runtime.shim.pipeinput import PipeInput
from runtime.wire import frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.shim.connection import Connection
    from runtime.shim.loop import Loop, Timer

READ_SIZE = 64 * 1024
STALL_SECONDS = 10.0
_REOPEN_SECONDS = 0.25
_NAMES = {frames.STDOUT: "stdout", frames.STDERR: "stderr"}


class ContainerIO:
    """Owns our ends of the streams, the log and the attached clients."""

    __slots__ = (
        "_clients",
        "_ended",
        "_ends",
        "_formatters",
        "_input",
        "_log",
        "_loop",
        "_outputs",
        "_paused",
        "_stall",
        "_stdin_once",
        "_terminal",
        "_watermarks",
        "on_eof",
        "on_signal",
    )

    def __init__(self, loop: Loop, request: dict[str, Any]) -> None:
        """Raises OSError when the log or a pipe cannot be had."""
        self._loop = loop
        log = request.get("log")
        self._log = (
            LogFile(log["path"], max_size=int(log.get("max_size") or 0), max_file=int(log.get("max_file") or 1))
            if log
            else None
        )
        self._terminal = bool(request.get("tty"))
        self._stdin_once = bool(request.get("stdin_once"))
        self._ends = streams.terminal() if self._terminal else streams.pipes(stdin=bool(request.get("stdin")))
        self._input: PipeInput | None = None
        self._outputs: dict[int, int] = {}
        self._formatters: dict[int, Formatter] = {}
        self._clients: list[Connection] = []
        self._paused = False
        self._ended = False
        self._stall: Timer | None = None
        self._watermarks: dict[int, int] = {}
        self.on_eof: Callable[[], None] | None = None
        """Called once when the last stream has ended after expect_end()."""
        self.on_signal: Callable[[str], None] = _ignore_signal

    @property
    def ends(self) -> streams.Ends:
        return self._ends

    def begin(self) -> None:
        """The child has its ends: start reading. Raises SystemFailure when a terminal was promised and none came."""
        self._ends.close_child()
        self._ends.take_master()
        ends = self._ends
        if ends.stdin is not None:
            self._input = PipeInput(self._loop, ends.stdin, terminal=self._terminal)
            self._input.on_drain = self._resume_clients
        for fd, kind in ((ends.stdout, frames.STDOUT), (ends.stderr, frames.STDERR)):
            if fd is not None:
                if not self._terminal:
                    streams.widen(fd)
                self._outputs[fd] = kind
                self._formatters[fd] = Formatter(_NAMES[kind])
        self._watch()

    def attach(self, client: Connection, request: dict[str, Any]) -> None:
        """Send the client what comes from now on, and take its stdin if it asked for that."""
        self._clients.append(client)
        wants_stdin = bool(request.get("stdin"))
        client.on_close = lambda: self._gone(client, had_stdin=wants_stdin)
        client.on_drain = self._resume
        handlers: dict[int, Callable[[bytes], None]] = {frames.RESIZE: self._resize, frames.SIGNAL: self._signal}
        if wants_stdin:
            handlers[frames.STDIN] = lambda payload: self._stdin(client, payload)
            handlers[frames.EOF] = self._stdin_eof
        handlers[frames.DETACH] = lambda _: self._detach(client)
        client.on_frame = lambda kind, payload: handlers.get(kind, _ignore)(payload)

    def expect_end(self) -> None:
        """The container is gone: call on_eof as soon as the streams are empty."""
        self._ended = True
        # Nobody may hold up the end of what is already over.
        self._paused = False
        self._watch()
        self._check_end()

    def finish(self, kind: int, value: dict[str, Any]) -> None:
        """Close everything; the clients get one last frame."""
        for fd in list(self._outputs):
            self._close_output(fd)
        if self._input is not None:
            self._input.close()
        if not self._formatters:
            self._ends.close_all()
        clients, self._clients = self._clients, []
        for client in clients:
            client.finish(kind, value)
        if self._stall is not None:
            self._stall.cancel()
        if self._log is not None:
            self._log.close()
            self._log = None

    def _watch(self) -> None:
        if self._paused:
            return
        for fd in self._outputs:
            if not self._loop.watching(fd):
                self._loop.watch(fd, READ, partial(self._ready, fd))

    def _ready(self, fd: int, events: int) -> None:
        try:
            data = os.read(fd, READ_SIZE)
        except BlockingIOError:
            return
        except OSError:  # EIO: no process has the terminal any more
            data = b""
        if not data:
            if self._terminal and not self._ended:
                # A terminal may be opened again; until then it would wake the loop over and over.
                self._loop.unwatch(fd)
                self._loop.later(_REOPEN_SECONDS, self._watch)
                return
            self._close_output(fd)
            self._check_end()
            return
        if self._log is not None:
            records = self._formatters[fd].feed(data, clock.now())
            if records:
                self._log.write(records)
        if self._clients:
            self._fan_out(self._outputs[fd], data)

    def _fan_out(self, kind: int, data: bytes) -> None:
        for client in list(self._clients):
            client.send(kind, data)
        if not self._ended and any(client.congested for client in self._clients):
            self._pause()

    def _pause(self) -> None:
        if self._paused:
            return
        self._paused = True
        for fd in self._outputs:
            self._loop.unwatch(fd)
        self._await_progress()

    def _await_progress(self) -> None:
        self._watermarks = {id(client): client.progress for client in self._clients}
        self._stall = self._loop.later(STALL_SECONDS, self._stalled)

    def _stalled(self) -> None:
        self._stall = None
        for client in list(self._clients):
            if client.congested and self._watermarks.get(id(client)) == client.progress:
                client.close()
        if self._paused:
            self._await_progress()
            self._resume()

    def _resume(self) -> None:
        if not self._paused or any(client.congested for client in self._clients):
            return
        self._paused = False
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._watch()

    def _close_output(self, fd: int) -> None:
        self._loop.unwatch(fd)
        os.close(fd)
        del self._outputs[fd]
        records = self._formatters[fd].finish(clock.now())
        if records and self._log is not None:
            self._log.write(records)

    def _check_end(self) -> None:
        if self._ended and not self._outputs and self.on_eof is not None:
            call, self.on_eof = self.on_eof, None
            call()

    # clients

    def _gone(self, client: Connection, *, had_stdin: bool) -> None:
        if client in self._clients:
            self._clients.remove(client)
        if had_stdin and self._stdin_once:
            self._stdin_eof(b"")
        self._resume()

    def _detach(self, client: Connection) -> None:
        client.finish()
        self._clients.remove(client)
        self._resume()

    def _stdin(self, client: Connection, payload: bytes) -> None:
        if self._input is None:
            return
        self._input.write(payload)
        if self._input.full:
            client.pause()

    def _stdin_eof(self, payload: bytes) -> None:
        if self._input is not None:
            self._input.end()

    def _resume_clients(self) -> None:
        for client in self._clients:
            client.resume()

    def _resize(self, payload: bytes) -> None:
        if self._terminal:
            for fd in self._outputs:
                streams.resize(fd, payload)

    def _signal(self, payload: bytes) -> None:
        self.on_signal(payload.decode())


def _ignore(payload: bytes) -> None:
    return


def _ignore_signal(name: str) -> None:
    return

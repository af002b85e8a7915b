"""The container's own stdio: into the log, out to attached clients, in from those with stdin.

A client that takes nothing for ten seconds is dropped, so that it delays the container but never stops it.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError
from runtime.shim import clock, streams
from runtime.shim.jsonlines import Formatter
from runtime.shim.logfile import LogFile
from runtime.shim.loop import READ, complain
from runtime.shim.pipeinput import PipeInput
from runtime.wire import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.shim.connection import Connection
    from runtime.shim.loop import Loop, Timer

READ_SIZE = 64 * 1024
STALL_SECONDS = 10.0
_REOPEN_SECONDS = 0.25
_NAMES = {frames.STDOUT: "stdout", frames.STDERR: "stderr"}


class ContainerIO:
    """Owns our ends of the streams, the log (opened with the first record) and the attached clients."""

    __slots__ = (
        "_clients",
        "_ended",
        "_formatters",
        "_input",
        "_log",
        "_log_options",
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

    def __init__(self, loop: Loop, request: dict[str, Any], ends: Sequence[int | None]) -> None:
        """`ends`: our sides of stdin, stdout and stderr, now owned here; a terminal's master is both of the first."""
        self._loop = loop
        self._log_options: dict[str, Any] | None = request.get("log")
        self._log: LogFile | None = None
        self._terminal = bool(request.get("tty"))
        self._stdin_once = bool(request.get("stdin_once"))
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
        stdin, stdout, stderr = ends
        if stdin is not None:
            self._input = PipeInput(loop, stdin, terminal=self._terminal)
            self._input.on_drain = self._resume_clients
        if stdout is not None:
            self._outputs[stdout] = frames.STDOUT
        if stderr is not None:
            self._outputs[stderr] = frames.STDERR
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
        client.on_frame = lambda kind, payload: self._frame(client, handlers.get(kind, _ignore), payload)

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
        clients, self._clients = self._clients, []
        for client in clients:
            client.finish(kind, value)
        if self._stall is not None:
            self._stall.cancel()
        if self._log is not None:
            self._log.close()
            self._log = None
        self._log_options = None

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
        if self._log_options is not None:
            self._record(self._formatter(fd).feed(data, clock.now()))
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
        if fd in self._formatters:
            self._record(self._formatters.pop(fd).finish(clock.now()))
        del self._outputs[fd]

    def _formatter(self, fd: int) -> Formatter:
        # Made with the first output: a container that says nothing costs its shim nothing for this.
        found = self._formatters.get(fd)
        if found is None:
            found = self._formatters[fd] = Formatter(_NAMES[self._outputs[fd]])
        return found

    def _record(self, records: bytes) -> None:
        if not records or self._log_options is None:
            return
        if self._log is None:
            options = self._log_options
            size, count = int(options.get("max_size") or 0), int(options.get("max_file") or 1)
            try:
                self._log = LogFile(options["path"], max_size=size, max_file=count)
            except OSError as error:
                complain(f"log {options['path']}: {error.strerror}")
                self._log_options = None
                return
        self._log.write(records)

    def _check_end(self) -> None:
        if self._ended and not self._outputs and self.on_eof is not None:
            call, self.on_eof = self.on_eof, None
            call()

    # clients

    def _frame(self, client: Connection, handler: Callable[[bytes], None], payload: bytes) -> None:
        try:
            handler(payload)
        except (ValueError, OSError, EngineError):
            client.close()

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

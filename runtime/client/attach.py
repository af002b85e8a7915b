"""Carry a process's standard streams between the engine and the caller's terminal.

The engine answers 101 and then frames travel both ways. Everything happens in one poll loop: a signal wakes it through
the wake-up descriptor, so that no handler ever writes to the socket while the loop does.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
from typing import TYPE_CHECKING, Any, Self

from runtime.client import detachkeys, terminal
from runtime.client.output import write_all
from runtime.errors import EngineError, Unavailable, from_wire
from runtime.wire import frames

if TYPE_CHECKING:
    from types import FrameType

BLOCK = 1 << 16
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


class FrameStream:
    """A connection that carries frames; owns its socket."""

    def __init__(self, sock: socket.socket, received: bytes = b"") -> None:
        self.sock = sock
        self._decoder = frames.Decoder()
        self._pending = list(self._decoder.feed(received)) if received else []

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Send one frame; raises Unavailable when the other side is gone."""
        try:
            self.sock.sendall(frames.encode(kind, payload))
        except ConnectionError as error:
            raise Unavailable("engine closed the stream") from error

    def receive(self) -> list[tuple[int, bytes]] | None:
        """The frames that arrived, waiting for some; None at the end of the stream."""
        if self._pending:
            pending, self._pending = self._pending, []
            return pending
        try:
            data = self.sock.recv(BLOCK)
        except ConnectionError:
            return None
        return list(self._decoder.feed(data)) if data else None

    @property
    def has_pending(self) -> bool:
        """Whether `receive` returns without touching the socket."""
        return bool(self._pending)

    def close(self) -> None:
        self.sock.close()


class Detached(Exception):
    """The user left with the detach keys; the process goes on."""


def run(
    stream: FrameStream,
    *,
    stdin: int | None,
    stdout: int,
    stderr: int,
    tty: bool,
    until_started: bool = False,
    detach_keys: bytes = b"",
    pass_signals: bool = True,
) -> int:
    """Copy until the process ends; its exit code. Raises the engine's error if the process could not be started.

    `stdin` is None when nothing shall be read. With `tty` the caller's terminal is raw meanwhile and its size follows,
    and `detach_keys` typed one after the other end it with Detached.
    With `until_started` the process is left alone once it runs, 0 is returned then.
    Without `tty`, signals that reach the caller are passed on if `pass_signals`; a second SIGINT leaves
    (KeyboardInterrupt).
    """
    with stream.sock, _Signals(tty=tty, wanted=pass_signals) as signals, terminal.raw(stdin if tty else None):
        if tty:
            _pass_on(stream, [signal.SIGWINCH], stdout)
        outputs = {frames.STDOUT: stdout, frames.STDERR: stderr}
        keys = detachkeys.Filter(detach_keys if tty else b"")
        return _copy(stream, signals, stdin, outputs, stdout, keys, until_started=until_started)


def _copy(
    stream: FrameStream,
    signals: _Signals,
    stdin: int | None,
    outputs: dict[int, int],
    terminal_fd: int,
    keys: detachkeys.Filter,
    *,
    until_started: bool,
) -> int:
    poller = select.poll()
    poller.register(stream.fileno(), select.POLLIN)
    poller.register(signals.fileno(), select.POLLIN)
    if stdin is not None:
        poller.register(stdin, select.POLLIN | select.POLLHUP)
    while True:
        ready = [stream.fileno()] if stream.has_pending else [fd for fd, _ in poller.poll()]
        if signals.fileno() in ready:
            _pass_on(stream, signals.take(), terminal_fd)
        if stdin is not None and stdin in ready:
            data = _read(stdin)
            typed = keys.feed(data)
            try:
                if keys.found:
                    stream.send(frames.DETACH)
                    raise Detached
                if typed or not data:
                    stream.send(*((frames.STDIN, typed) if data else (frames.EOF, b"")))
            except Unavailable:
                data = b""  # the process ended first: how it did is still to be received
            if not data:
                poller.unregister(stdin)
                stdin = None
        if stream.fileno() in ready:
            received = stream.receive()
            if received is None:
                raise Unavailable("engine closed the stream before the process ended")
            for kind, payload in received:
                code = 0 if until_started and kind == frames.STARTED else _take_frame(kind, payload, outputs)
                if code is not None:
                    return code


def _take_frame(kind: int, payload: bytes, outputs: dict[int, int]) -> int | None:
    """The exit code if this frame brings it; raises EngineError for an ERROR frame."""
    output = outputs.get(kind)
    if output is not None:
        write_all(output, payload)
        return None
    if kind == frames.EXIT:
        return int(json.loads(payload)["ExitCode"])
    if kind == frames.ERROR:
        raise error_of(payload)
    return None


def error_of(payload: bytes) -> EngineError:
    """The error that an ERROR frame carries."""
    data: Any = json.loads(payload)
    return from_wire(data)


def _pass_on(stream: FrameStream, numbers: list[int], terminal_fd: int) -> None:
    for number in numbers:
        try:
            if number == signal.SIGWINCH:
                _send_size(stream, terminal_fd)
            else:
                stream.send(frames.SIGNAL, signal.Signals(number).name.encode())
        except Unavailable:
            return  # the process ended first: how it did is still to be received


def _send_size(stream: FrameStream, fd: int) -> None:
    size = terminal.size(fd)
    if size is not None:
        stream.send(frames.RESIZE, json.dumps({"h": size[0], "w": size[1]}).encode())


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, BLOCK)
    except OSError:  # a terminal that hung up answers EIO
        return b""


class _Signals:
    """Collect signals for the poll loop while in the `with` block; restores the handlers after it."""

    def __init__(self, *, tty: bool, wanted: bool = True) -> None:
        # in raw mode ctrl-C is a byte for the process inside; without a terminal the size does not matter
        self._numbers = (signal.SIGWINCH,) if tty else FORWARDED if wanted else ()
        self._received: list[int] = []
        self._old: dict[int, Any] = {}
        self._reader, self._writer = socket.socketpair()

    def __enter__(self) -> Self:
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        for number in self._numbers:
            self._old[number] = signal.signal(number, self._handle)
        self._old_wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._old_wakeup)
        for number, handler in self._old.items():
            signal.signal(number, handler)
        self._reader.close()
        self._writer.close()

    def fileno(self) -> int:
        return self._reader.fileno()

    def take(self) -> list[int]:
        try:
            self._reader.recv(BLOCK)
        except BlockingIOError:
            pass
        received, self._received = self._received, []
        return received

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT and self._interrupted:
            raise KeyboardInterrupt
        self._interrupted = self._interrupted or number == signal.SIGINT
        self._received.append(number)

    _interrupted = False

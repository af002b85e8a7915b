"""Feed a process's stdin without blocking: a pipe that is full pauses the client, not the shim."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.shim.loop import WRITE

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.shim.loop import Loop

EOT = b"\x04"
"""What ends the input of a terminal in canonical mode."""


class PipeInput:
    """The write side of a stdin; owns `fd` unless it is a terminal's (which its stdout side owns)."""

    __slots__ = ("_buffer", "_ending", "_fd", "_loop", "_terminal", "on_drain")

    def __init__(self, loop: Loop, fd: int, *, terminal: bool) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        # A terminal is read and written through one open file: epoll wants a descriptor for each direction.
        self._fd: int | None = os.dup(fd) if terminal else fd
        self._terminal = terminal
        self._buffer = bytearray()
        self._ending = False
        self.on_drain: Callable[[], None] = _ignore

    @property
    def full(self) -> bool:
        """Whether something is waiting; the caller pauses its source then."""
        return bool(self._buffer)

    def write(self, data: bytes) -> None:
        """Hand over `data`; after the process closed its stdin it goes nowhere."""
        if self._fd is None or self._ending:
            return
        self._buffer += data
        self._flush()

    def end(self) -> None:
        """No more input: closes the pipe when all is written, or types end-of-transmission into the terminal."""
        if self._terminal:
            self.write(EOT)
            return
        self._ending = True
        self._flush()

    def close(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            self._loop.unwatch(fd)
            os.close(fd)
        self._buffer.clear()

    def _ready(self, events: int) -> None:
        self._flush()
        if not self._buffer:
            self.on_drain()

    def _flush(self) -> None:
        if self._fd is None:
            return
        while self._buffer:
            try:
                done = os.write(self._fd, self._buffer)
            except BlockingIOError:
                self._loop.watch(self._fd, WRITE, self._ready)
                return
            except OSError:
                self.close()
                return
            del self._buffer[:done]
        self._loop.unwatch(self._fd)
        if self._ending:
            self.close()


def _ignore() -> None:
    return

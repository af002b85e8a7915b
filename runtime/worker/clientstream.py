"""Read from and write to a client's connection that the engine handed over: frames, without blocking it for the engine.

The descriptor's file description is the engine's too, so O_NONBLOCK stays set and we wait in poll. Only one of the two
may write frames while a job runs: the worker that sends an archive, or else the engine with its events.
"""

from __future__ import annotations

import os
import select

from runtime.errors import InvalidParameter
from runtime.wire import frames

PIECE = 256 * 1024
"""Bytes of a frame's payload at most."""


class ClientStream:
    """The payload that a client sends until its EOF frame, and the payload that is sent to it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._decoder = frames.Decoder()
        self._frames: list[tuple[int, bytes]] = []
        self._ended = False

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, empty at the end; raises InvalidParameter if the client left before it."""
        while not self._ended:
            if not self._frames:
                self._frames = self._receive()
                continue
            kind, payload = self._frames[0]
            if kind == frames.EOF:
                self._ended = True
            elif kind == frames.STDIN and len(payload) > size:
                self._frames[0] = (kind, payload[size:])
                return payload[:size]
            else:
                self._frames.pop(0)
                if kind == frames.STDIN and payload:
                    return payload
        return b""

    def write(self, data: bytes, /) -> int:
        """Send all of `data`; raises BrokenPipeError when the client is gone."""
        view = memoryview(data)
        for at in range(0, len(view), PIECE):
            piece = view[at : at + PIECE]
            self._send(memoryview(frames.header(frames.STDOUT, len(piece))))
            self._send(piece)
        return len(data)

    def _receive(self) -> list[tuple[int, bytes]]:
        while True:
            try:
                data = os.read(self._fd, PIECE)
                break
            except BlockingIOError:
                self._wait(select.POLLIN)
            except ConnectionError:
                data = b""
                break
        if not data:
            raise InvalidParameter("archive: the client left before its end")
        try:
            return self._decoder.feed(data)
        except ValueError as error:
            raise InvalidParameter(f"archive: malformed stream: {error}") from error

    def _send(self, view: memoryview) -> None:
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:
                self._wait(select.POLLOUT)

    def _wait(self, event: int) -> None:
        poller = select.poll()
        poller.register(self._fd, event)
        poller.poll()

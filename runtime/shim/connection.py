"""A framed stream connection with a bounded backlog.

Non-blocking throughout: what the client does not take now waits here, and whoever feeds it is told to pause.
"""

from __future__ import annotations

import json
from _socket import SHUT_WR
from collections import deque
from typing import TYPE_CHECKING, Any

from runtime.shim.loop import READ, WRITE
from runtime.wire import frames

if TYPE_CHECKING:
    import _socket
    from collections.abc import Callable

    from runtime.shim.loop import Loop

HIGH = 512 * 1024
"""Bytes of backlog above which `congested` holds; the source is paused then."""

LOW = 64 * 1024
"""Bytes of backlog below which `on_drain` is called."""

READ_SIZE = 64 * 1024


class Connection:
    """One client: on_frame(kind, payload) for what it says, on_close() once when it is gone (not after finish())."""

    __slots__ = (
        "_backlog",
        "_decoder",
        "_finishing",
        "_loop",
        "_paused",
        "_sock",
        "on_close",
        "on_drain",
        "on_frame",
        "progress",
        "size",
    )

    def __init__(self, loop: Loop, sock: _socket.socket) -> None:
        sock.setblocking(False)
        self._loop = loop
        self._sock: _socket.socket | None = sock
        self._decoder = frames.Decoder()
        self._backlog: deque[memoryview] = deque()
        self._paused = False
        self._finishing = False
        self.size = 0
        """Bytes not yet taken."""
        self.progress = 0
        """Bytes ever taken from the backlog: unchanged over a while means that the client hangs."""
        self.on_frame: Callable[[int, bytes], None] = _ignore_frame
        self.on_close: Callable[[], None] = _ignore
        self.on_drain: Callable[[], None] = _ignore
        loop.watch(sock.fileno(), READ, self._ready)

    @property
    def congested(self) -> bool:
        return self.size > HIGH

    @property
    def closed(self) -> bool:
        return self._sock is None

    def send(self, kind: int, payload: bytes = b"") -> None:
        """Queue a frame; a client that is gone is passed over."""
        if self._sock is None or self._finishing:
            return
        parts = [frames.header(kind, len(payload)), payload]
        sent = 0
        if not self._backlog:
            try:
                sent = self._sock.sendmsg(parts)
            except BlockingIOError:
                pass
            except OSError:
                self.close()
                return
        left = len(payload) + frames.HEADER_SIZE - sent
        if left:
            self._backlog.append(memoryview(b"".join(parts))[sent:])
            self.size += left
            self._interest()

    def send_json(self, kind: int, value: dict[str, Any]) -> None:
        self.send(kind, json.dumps(value, separators=(",", ":")).encode())

    def finish(self, kind: int | None = None, value: dict[str, Any] | None = None) -> None:
        """Send a last frame if given, and the end of the stream when all is taken; on_close is not called.

        Closed is the socket only after the client's end: what it still sends would meet a closed socket, and the error
        of that makes readers lose what they have not read yet.
        """
        if kind is not None:
            self.send_json(kind, value or {})
        self.on_close = self.on_drain = _ignore
        self.on_frame = _ignore_frame
        self._finishing = True
        self._paused = False
        if not self._backlog:
            self._end()

    def _end(self) -> None:
        if self._sock is None:
            return
        try:
            self._sock.shutdown(SHUT_WR)
        except OSError:
            self.close()
            return
        self._interest()

    def pause(self) -> None:
        """Read no more frames until resume(); hang-ups are noticed later."""
        self._paused = True
        self._interest()

    def resume(self) -> None:
        self._paused = False
        self._interest()

    def close(self) -> None:
        """Drop the client at once."""
        sock, self._sock = self._sock, None
        if sock is None:
            return
        self._loop.unwatch(sock.fileno())
        sock.close()
        self._backlog.clear()
        self.size = 0
        self.on_close()

    def _interest(self) -> None:
        if self._sock is None:
            return
        fd = self._sock.fileno()
        events = (0 if self._paused else READ) | (WRITE if self._backlog else 0)
        if events:
            self._loop.watch(fd, events, self._ready)
        else:
            # Watched for nothing, a closed peer would still wake the loop over and over.
            self._loop.unwatch(fd)

    def _ready(self, events: int) -> None:
        if events & WRITE and self._backlog:
            self._flush()
        if self._sock is not None and not self._paused and events & ~WRITE:
            self._receive()

    def _flush(self) -> None:
        while self._backlog and self._sock is not None:
            head = self._backlog[0]
            try:
                sent = self._sock.send(head)
            except BlockingIOError:
                break
            except OSError:
                self.close()
                return
            self.size -= sent
            self.progress += sent
            if sent == len(head):
                self._backlog.popleft()
            else:
                self._backlog[0] = head[sent:]
        if self._finishing and not self._backlog:
            self._end()
            return
        self._interest()
        if self.size < LOW:
            self.on_drain()

    def _receive(self) -> None:
        if self._sock is None:
            return
        try:
            data = self._sock.recv(READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        if self._finishing:
            return
        try:
            received = self._decoder.feed(data)
        except ValueError:
            self.close()
            return
        for kind, payload in received:
            if self._sock is None:
                return
            self.on_frame(kind, payload)


def _ignore() -> None:
    return


def _ignore_frame(kind: int, payload: bytes) -> None:
    return

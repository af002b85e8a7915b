"""A SEQPACKET socket on the event loop: messages out at once, messages in by callback.

Sockets are non-blocking. A message that does not fit into the socket's buffer is kept and sent when there is room: the
order of messages is the order of calls.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from runtime.wire import seqpacket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence


class Channel:
    """One connection; `on_message(message, fds)` owns the descriptors it is given, `on_close()` is called once."""

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[dict[str, Any], list[int]], None],
        on_close: Callable[[], None],
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._on_message = on_message
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._pending: deque[tuple[dict[str, Any], list[int]]] = deque()
        self.closed = False
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """Send now or as soon as there is room; descriptors are duplicated if the message has to wait.

        Raises ConnectionError when the channel is closed.
        """
        if self.closed:
            raise ConnectionError("the channel is closed")
        if not self._pending and self._try_send(message, fds):
            return
        self._pending.append((message, [os.dup(fd) for fd in fds]))
        self._loop.add_writer(self._sock.fileno(), self._writable)

    def close(self) -> None:
        """Close without calling `on_close`."""
        if self.closed:
            return
        self.closed = True
        self._loop.remove_reader(self._sock.fileno())
        self._loop.remove_writer(self._sock.fileno())
        self._sock.close()
        for _, fds in self._pending:
            for fd in fds:
                os.close(fd)
        self._pending.clear()

    def _try_send(self, message: dict[str, Any], fds: Sequence[int]) -> bool:
        try:
            seqpacket.send(self._sock, message, fds)
        except BlockingIOError:
            return False
        except OSError:
            self._lost()
            raise ConnectionError("the peer is gone") from None
        return True

    def _writable(self) -> None:
        while self._pending:
            message, fds = self._pending[0]
            try:
                if not self._try_send(message, fds):
                    return
            except ConnectionError:
                return
            self._pending.popleft()
            for fd in fds:
                os.close(fd)
        self._loop.remove_writer(self._sock.fileno())

    def _readable(self) -> None:
        while not self.closed:
            try:
                message, fds = seqpacket.recv(self._sock)
            except BlockingIOError:
                return
            except (EOFError, OSError):
                self._lost()
                return
            self._on_message(message, fds)

    def _lost(self) -> None:
        if self.closed:
            return
        self.close()
        self._on_close()

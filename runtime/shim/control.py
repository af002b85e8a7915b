"""The engine's side of a shim: one control peer at a time, the newest wins.

What was not heard is not kept here: the answer to hello says how things stand, so a new engine needs no history.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from runtime.shim.loop import READ, complain
from runtime.wire import seqpacket, unixsocket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.shim.loop import Loop


class Control:
    """on_message(message, fds) for each request (it owns the descriptors), on_lost() when the current peer is gone."""

    __slots__ = ("_loop", "_on_lost", "_on_message", "_peer", "_server")

    def __init__(
        self,
        loop: Loop,
        first: socket.socket,
        on_message: Callable[[dict[str, Any], list[int]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._on_message = on_message
        self._on_lost = on_lost
        self._peer: socket.socket | None = None
        self._server: socket.socket | None = None
        self._adopt(first)

    def listen(self, path: str) -> None:
        """Let later engines connect at `path`. Raises OSError."""
        self._server = server = unixsocket.listen(path, socket.SOCK_SEQPACKET, backlog=8)
        self._loop.watch(server.fileno(), READ, lambda _: self._adopt(server.accept()[0]))

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """To the current peer; none is fine. A peer that does not read is dropped: its successor asks how things stand."""
        if self._peer is None:
            return
        try:
            seqpacket.send(self._peer, message, fds)
        except OSError as error:
            complain(f"control: {error}")
            self._drop()

    def _adopt(self, sock: socket.socket) -> None:
        old, self._peer = self._peer, sock
        if old is not None:
            self._loop.unwatch(old.fileno())
            old.close()
        sock.setblocking(False)
        self._loop.watch(sock.fileno(), READ, lambda _: self._receive(sock))

    def _receive(self, sock: socket.socket) -> None:
        try:
            message, fds = seqpacket.recv(sock)
        except BlockingIOError:
            return
        except (EOFError, OSError, ValueError) as error:
            if not isinstance(error, EOFError):
                complain(f"control: {error}")
            self._drop()
            return
        self._on_message(message, fds)

    def _drop(self) -> None:
        peer, self._peer = self._peer, None
        if peer is not None:
            self._loop.unwatch(peer.fileno())
            peer.close()
            self._on_lost()

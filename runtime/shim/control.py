"""The engine's side of a shim: one control peer at a time, the newest wins; and streams of clients that it passes on.

What was not heard is not kept here: the answer to hello says how things stand, so a new engine needs no history.
The sockets are of the C class: a shim that only waits never touches the module around it (0.1 MB).
"""

from __future__ import annotations

import _socket
import os
from typing import TYPE_CHECKING, Any

from runtime.shim.loop import READ, complain
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.shim.loop import Loop

ACCEPT_AGAIN_SECONDS = 0.2
"""After an accept that failed."""


class Control:
    """on_message(message, fds) for each request (it owns the descriptors), on_lost() when the current peer is gone,
    on_client(fd) for a stream passed with the message `client`, after which its connection ends."""

    __slots__ = ("_listener", "_loop", "_on_client", "_on_lost", "_on_message", "_peer")

    def __init__(
        self,
        loop: Loop,
        first: int,
        on_message: Callable[[dict[str, Any], list[int]], None],
        on_lost: Callable[[], None],
        on_client: Callable[[int], None],
    ) -> None:
        """`first`: descriptor of the socket to the engine that asked for the container."""
        self._loop = loop
        self._on_message = on_message
        self._on_lost = on_lost
        self._on_client = on_client
        self._listener = -1
        self._peer: _socket.socket | None = None
        self._adopt(first)

    def listen(self, fd: int) -> None:
        """Let later engines connect at the listening socket `fd`."""
        self._listener = fd
        self._loop.watch(fd, READ, self._accept)

    def send(self, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """To the current peer; none is fine. A peer that does not read is dropped: its successor asks how things stand."""
        if self._peer is None:
            return
        try:
            seqpacket.send(self._peer, message, fds)
        except OSError as error:
            complain(f"control: {error}")
            self._drop()

    def send_encoded(self, message: bytes) -> None:
        """As send, of a message that is JSON already."""
        if self._peer is None:
            return
        try:
            seqpacket.send_encoded(self._peer, message)
        except OSError as error:
            complain(f"control: {error}")
            self._drop()

    def close(self) -> None:
        """Give up peer and listener, without a call of on_lost."""
        for fd in (self._listener, -1 if self._peer is None else self._peer.detach()):
            if fd >= 0:
                self._loop.unwatch(fd)
                os.close(fd)
        self._peer, self._listener = None, -1

    def _accept(self, events: int) -> None:
        server = _socket.socket(fileno=self._listener)
        try:
            # What the module's accept() calls.
            stranger = _socket.socket(fileno=server._accept()[0])  # type: ignore[attr-defined]  # noqa: SLF001
        except OSError as error:
            # Out of descriptors: the connection still waits, and would wake the loop over and over.
            complain(f"control: {error}")
            self._loop.unwatch(self._listener)
            self._loop.later(ACCEPT_AGAIN_SECONDS, lambda: self.listen(self._listener))
            return
        finally:
            server.detach()
        stranger.setblocking(False)
        self._loop.watch(stranger.fileno(), READ, lambda _: self._introduce(stranger))

    def _introduce(self, stranger: _socket.socket) -> None:
        """A connection's first message says which it is: the engine's, or that of one client."""
        self._loop.unwatch(stranger.fileno())
        try:
            message, fds = seqpacket.recv(stranger)
        except (EOFError, OSError, ValueError):
            stranger.close()
            return
        if message.get("type") != "client":
            self._adopt(stranger.detach())
            self._on_message(message, fds)
            return
        stranger.close()
        if len(fds) == 1:
            self._on_client(fds[0])
        else:
            seqpacket.close_all(fds)

    def _adopt(self, fd: int) -> None:
        old, self._peer = self._peer, _socket.socket(fileno=fd)
        if old is not None:
            self._loop.unwatch(old.fileno())
            old.close()
        self._peer.setblocking(False)
        self._loop.watch(fd, READ, self._receive)

    def _receive(self, events: int) -> None:
        if self._peer is None:
            return
        try:
            message, fds = seqpacket.recv(self._peer)
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

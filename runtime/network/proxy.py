"""Serve what reaches the sockets of published ports themselves: `::1`, IPv6 to IPv4-only containers, and what no DNAT caught.

Runs on the engine's event loop. The sockets live on in the zygote's store when the engine dies: TCP connections then wait
in the backlog and are taken up by the next engine.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from typing import TYPE_CHECKING

from runtime.network.udpproxy import UdpProxy

if TYPE_CHECKING:
    from runtime.network.portmap import Reservation

Backends = tuple[tuple[str, int], ...]

_CONNECT_TIMEOUT = 5.0
_ACCEPT_AGAIN = 0.1
_ACCEPTS_PER_WAKE_UP = 16
_RESET = struct.pack("ii", 1, 0)


class Proxy:
    """All proxied ports of an engine, keyed as their reservations."""

    def __init__(self) -> None:
        self._ports: dict[str, TcpProxy | UdpProxy] = {}

    def serve(self, reservation: Reservation, backends: Backends) -> None:
        """Begin to serve a port, or change where it leads. Without backends connections are reset."""
        port = self._ports.get(reservation.key)
        if port is None:
            kind = TcpProxy if reservation.protocol == "tcp" else UdpProxy
            self._ports[reservation.key] = kind(reservation.sock, backends)
        else:
            port.backends = backends

    def stop(self, key: str) -> None:
        """End serving a port; its socket stays open, connections run on."""
        port = self._ports.pop(key, None)
        if port is not None:
            port.close()

    def close(self) -> None:
        """End serving all ports."""
        for key in list(self._ports):
            self.stop(key)


class TcpProxy:
    """Accepts on one listening socket and connects to the backends in turn."""

    def __init__(self, sock: socket.socket, backends: Backends) -> None:
        self.backends = backends
        self._sock = sock
        self._fd = sock.fileno()
        self._loop = asyncio.get_running_loop()
        self._turn = 0
        self._connecting: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._fd, self._accept)

    def close(self) -> None:
        """Accept no more."""
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._fd)

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_PER_WAKE_UP):
            try:
                connection, _ = self._sock.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS):
                    # readable all the time, but nothing to be had: wait for descriptors
                    self._loop.remove_reader(self._fd)
                    self._retry = self._loop.call_later(_ACCEPT_AGAIN, self._loop.add_reader, self._fd, self._accept)
                return
            connection.setblocking(False)
            task = self._loop.create_task(self._connect(connection))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, client: socket.socket) -> None:
        backends = self.backends
        self._turn += 1
        for offset in range(len(backends)):
            host, port = backends[(self._turn + offset) % len(backends)]
            server_side = _Side()
            try:
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    await self._loop.create_connection(lambda side=server_side: side, host, port)  # type: ignore[misc]
            except (OSError, TimeoutError):
                continue
            client_side = _Side()
            client_side.peer, server_side.peer = server_side, client_side
            try:
                await self._loop.connect_accepted_socket(lambda side=client_side: side, client)  # type: ignore[misc]
            except OSError:
                server_side.abort()
                client.close()
            return
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        client.close()


class _Side(asyncio.Protocol):
    """One of the two connections of a proxied one; hands on data, end of data, and the wish for a pause."""

    def __init__(self) -> None:
        self.peer: _Side | None = None
        self.transport: asyncio.Transport | None = None
        self.ended = False
        # what a server says before the client's side stands
        self._early = bytearray()

    @property
    def opposite(self) -> asyncio.Transport | None:
        return self.peer.transport if self.peer is not None else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        # a container that is gone sends no reset
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self.peer is not None:
            self.peer.catch_up()

    def catch_up(self) -> None:
        """The opposite side stands now: hand over what came in the meantime."""
        opposite = self.opposite
        if opposite is None:
            return
        if self._early:
            opposite.write(bytes(self._early))
            self._early.clear()
        if self.ended:
            opposite.write_eof()
        if self.transport is None or self.transport.is_closing():
            opposite.close()

    def data_received(self, data: bytes) -> None:
        opposite = self.opposite
        if opposite is None:
            self._early += data
        else:
            opposite.write(data)

    def eof_received(self) -> bool:
        self.ended = True
        opposite = self.opposite
        if opposite is None or self.peer is None:
            return True
        if self.peer.ended:
            # both have said all: closing still sends what is buffered
            opposite.close()
            return False
        if not opposite.is_closing():
            opposite.write_eof()
        return True

    def abort(self) -> None:
        """Drop the connection."""
        if self.transport is not None:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        opposite = self.opposite
        if opposite is None:
            return
        if exc is None:
            opposite.close()
        else:
            opposite.abort()

    def pause_writing(self) -> None:
        opposite = self.opposite
        if opposite is not None and not opposite.is_closing():
            opposite.pause_reading()

    def resume_writing(self) -> None:
        opposite = self.opposite
        if opposite is not None and not opposite.is_closing():
            opposite.resume_reading()

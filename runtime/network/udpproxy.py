"""The UDP half of the proxy: a flow per client, forgotten when it is silent.

A datagram to a wildcard socket must be answered from the address it was sent to, or the client drops the answer: the
address travels with each datagram as IP_PKTINFO or IPV6_PKTINFO.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

Backends = tuple[tuple[str, int], ...]

_IDLE = 90.0
_MAX_FLOWS = 4096
_MAX_DATAGRAM = 65536
_DATAGRAMS_PER_WAKE_UP = 32
_IP_PKTINFO = 8
_IPV6_RECVPKTINFO, _IPV6_PKTINFO = 49, 50


class _Flow:
    __slots__ = ("answer_as", "client", "last", "sock")

    def __init__(self, sock: socket.socket, client: Any, answer_as: list[tuple[int, int, bytes]], now: float) -> None:
        self.sock = sock
        self.client = client
        self.answer_as = answer_as
        self.last = now


class UdpProxy:
    """Serves one bound UDP socket."""

    def __init__(self, sock: socket.socket, backends: Backends) -> None:
        self._backends = backends
        self._sock = sock
        self._fd = sock.fileno()
        self._flows: dict[Any, _Flow] = {}
        self._turn = 0
        self._loop = asyncio.get_running_loop()
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        self._loop.add_reader(self._fd, self._from_clients)
        self._sweep = self._loop.call_later(_IDLE, self._forget_idle)

    @property
    def backends(self) -> Backends:
        return self._backends

    @backends.setter
    def backends(self, backends: Backends) -> None:
        gone = set(self._backends) - set(backends)
        self._backends = backends
        for client, flow in list(self._flows.items()):
            if flow.sock.fileno() >= 0 and flow.sock.getpeername()[:2] in gone:
                self._forget(client)

    def close(self) -> None:
        """Forward no more; the socket stays open."""
        self._sweep.cancel()
        self._loop.remove_reader(self._fd)
        for client in list(self._flows):
            self._forget(client)

    def _from_clients(self) -> None:
        for _ in range(_DATAGRAMS_PER_WAKE_UP):
            try:
                data, ancillary, _, client = self._sock.recvmsg(_MAX_DATAGRAM, 128)
            except OSError:
                return
            flow = self._flows.get(client) or self._begin(client, ancillary)
            if flow is None:
                continue
            flow.last = self._loop.time()
            try:
                flow.sock.send(data)
            except OSError:
                self._forget(client)

    def _begin(self, client: Any, ancillary: list[tuple[int, int, bytes]]) -> _Flow | None:
        if not self._backends:
            return None
        if len(self._flows) >= _MAX_FLOWS:
            self._forget(min(self._flows, key=lambda key: self._flows[key].last))
        self._turn += 1
        host, port = self._backends[self._turn % len(self._backends)]
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        try:
            sock.connect((host, port))
        except OSError:
            sock.close()
            return None
        flow = _Flow(sock, client, _answer_as(ancillary), self._loop.time())
        self._flows[client] = flow
        self._loop.add_reader(sock.fileno(), self._from_backend, flow)
        return flow

    def _from_backend(self, flow: _Flow) -> None:
        try:
            data = flow.sock.recv(_MAX_DATAGRAM)
        except BlockingIOError:
            return
        except OSError:
            # port unreachable: nobody listens there (any more)
            self._forget(flow.client)
            return
        flow.last = self._loop.time()
        try:
            self._sock.sendmsg([data], flow.answer_as, 0, flow.client)
        except OSError:
            return  # a full buffer loses datagrams, as UDP may

    def _forget(self, client: Any) -> None:
        flow = self._flows.pop(client)
        self._loop.remove_reader(flow.sock.fileno())
        flow.sock.close()

    def _forget_idle(self) -> None:
        limit = self._loop.time() - _IDLE
        for client in [client for client, flow in self._flows.items() if flow.last < limit]:
            self._forget(client)
        self._sweep = self._loop.call_later(_IDLE, self._forget_idle)


def _answer_as(ancillary: list[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    """What to send along with an answer, from what came along with the datagram."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, _IPV6_PKTINFO):
            return [(level, kind, data)]
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            # in_pktinfo: interface, local address (the one to answer from), destination address
            _, local, _ = struct.unpack("=i4s4s", data)
            return [(level, kind, struct.pack("=i4s4s", 0, local, bytes(4)))]
    return []

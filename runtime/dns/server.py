"""Answer the queries of every sandbox on the engine's event loop, most of them from a cache of whole responses.

A client repeats itself letter by letter except for the id: the cache is keyed by the query's bytes after it and holds the
response after it, for several replicas each order in turn. A change of names on a network empties the caches that see it.
"""

from __future__ import annotations

import asyncio
import contextlib
from itertools import cycle
from typing import TYPE_CHECKING

from runtime.dns.forward import Forwarder
from runtime.dns.message import (
    AAAA,
    ANY,
    FORMERR,
    NOERROR,
    PTR,
    SERVFAIL,
    A,
    Question,
    address_record,
    answer,
    parse,
    pointer_record,
    refusal,
    reverse_address,
)

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from runtime.dns.zones import View

TTL = 10
"""Seconds. Docker says 600; a client that believes it talks to the old address of a recreated container."""

_MAX_CACHED = 1024
_MAX_QUERY = 4096
_QUERIES_PER_WAKE_UP = 64
_MAX_TCP_CLIENTS = 64
_TCP_IDLE = 10.0


class DnsServer:
    """The resolvers of all sandboxes."""

    def __init__(self) -> None:
        self._forwarder = Forwarder()
        self._resolvers: dict[str, _Resolver] = {}

    def add_sandbox(self, sandbox_id: str, udp_sock: socket.socket, tcp_sock: socket.socket, view: View) -> None:
        """Serve a sandbox's sockets (non-blocking, the TCP one listening); they are the server's from here on."""
        self.remove_sandbox(sandbox_id)
        self._resolvers[sandbox_id] = _Resolver(udp_sock, tcp_sock, view, self._forwarder)

    def update_view(self, sandbox_id: str, view: View) -> None:
        """Another set of networks, links or servers; an unknown sandbox is ignored."""
        resolver = self._resolvers.get(sandbox_id)
        if resolver is not None:
            resolver.set_view(view)

    def remove_sandbox(self, sandbox_id: str) -> None:
        """Close a sandbox's sockets (they would keep its network namespace alive); an unknown one counts as done."""
        resolver = self._resolvers.pop(sandbox_id, None)
        if resolver is not None:
            resolver.close()

    def close(self) -> None:
        """Close all."""
        for sandbox_id in list(self._resolvers):
            self.remove_sandbox(sandbox_id)


class _Resolver:
    """One sandbox's."""

    def __init__(self, udp_sock: socket.socket, tcp_sock: socket.socket, view: View, forwarder: Forwarder) -> None:
        self._udp = udp_sock
        self._tcp = tcp_sock
        self._forwarder = forwarder
        self._cache: dict[bytes, Iterator[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._tcp_clients = 0
        self._view = view
        self._watch(view)
        self._loop = asyncio.get_running_loop()
        self._udp_fd = udp_sock.fileno()
        self._tcp_fd = tcp_sock.fileno()
        self._loop.add_reader(self._udp_fd, self._serve_udp)
        self._loop.add_reader(self._tcp_fd, self._accept_tcp)

    def set_view(self, view: View) -> None:
        self._unwatch()
        self._view = view
        self._watch(view)
        self._cache.clear()

    def close(self) -> None:
        self._unwatch()
        self._loop.remove_reader(self._udp_fd)
        self._loop.remove_reader(self._tcp_fd)
        for task in self._tasks:
            task.cancel()
        self._udp.close()
        self._tcp.close()

    def _watch(self, view: View) -> None:
        for zone in view.zones:
            zone.watch(self._cache.clear)

    def _unwatch(self) -> None:
        for zone in self._view.zones:
            zone.unwatch(self._cache.clear)

    def _serve_udp(self) -> None:
        receive, send, cache = self._udp.recvfrom, self._udp.sendto, self._cache
        for _ in range(_QUERIES_PER_WAKE_UP):
            try:
                query, client = receive(_MAX_QUERY)
                ready = cache.get(query[2:])
                if ready is not None:
                    send(query[:2] + next(ready), client)
                    continue
            except OSError:
                # nothing (more) to read, or a client that is gone
                return
            self._answer_udp(query, client)

    def _answer_udp(self, query: bytes, client: object) -> None:
        responses = self._local(query, udp=True)
        if responses is None:
            self._spawn(self._forward_udp(query, client))
            return
        if not responses:
            return
        ready: Iterator[bytes] = cycle(responses)
        if len(self._cache) >= _MAX_CACHED:
            self._cache.clear()
        self._cache[query[2:]] = ready
        self._send(query[:2] + next(ready), client)

    async def _forward_udp(self, query: bytes, client: object) -> None:
        self._send(await self._forwarder.ask(query, self._view, tcp=False), client)

    def _send(self, response: bytes, client: object) -> None:
        with contextlib.suppress(OSError):
            self._udp.sendto(response, client)  # type: ignore[call-overload]

    def _local(self, query: bytes, *, udp: bool) -> list[bytes] | None:
        """Responses (without the id) to give in turn; none: say nothing; None: not ours, forward it."""
        question = parse(query)
        if question is None:
            return self._unparsed(query)
        limit = question.size if udp else 0xFFFF
        found = self._records(question)
        if found is not None:
            return [answer(question, records, limit=limit) for records in _rotations(found)]
        if not self._view.reachable:
            return [answer(question, [], SERVFAIL)]
        if self._view.ndots_set and "." not in question.name and question.type in (A, AAAA):
            return [answer(question, [], NOERROR)]
        return None

    def _unparsed(self, query: bytes) -> list[bytes] | None:
        if len(query) < 12 or query[2] & 0x80:
            return []
        if self._view.reachable and int.from_bytes(query[4:6], "big") == 1 and not query[2] & 0x78 and len(query) >= 17:
            return None
        return [refusal(query, FORMERR)[2:]]

    def _records(self, question: Question) -> list[bytes] | None:
        """The records for a name of ours (none of that type: empty), or None for a name of others."""
        if question.type == PTR:
            address = reverse_address(question.name)
            name = self._view.pointer(address) if address else None
            if name is not None:
                return [pointer_record(name, TTL)]
        addresses = self._view.resolve(question.name)
        if addresses is None:
            return None
        wanted = {A: (False,), AAAA: (True,), ANY: (False, True)}.get(question.type, ())
        return [address_record(address, TTL) for address in addresses if (":" in address) in wanted]

    def _accept_tcp(self) -> None:
        try:
            connection, _ = self._tcp.accept()
        except OSError:
            return
        if self._tcp_clients >= _MAX_TCP_CLIENTS:
            connection.close()
            return
        connection.setblocking(False)
        self._tcp_clients += 1
        self._spawn(self._serve_tcp(connection))

    async def _serve_tcp(self, connection: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
            try:
                while True:
                    async with asyncio.timeout(_TCP_IDLE):
                        size = int.from_bytes(await reader.readexactly(2), "big")
                        query = await reader.readexactly(size)
                    response = await self._answer_tcp(query)
                    if not response:
                        return
                    writer.write(len(response).to_bytes(2, "big") + response)
                    await writer.drain()
            finally:
                writer.close()
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            self._tcp_clients -= 1

    async def _answer_tcp(self, query: bytes) -> bytes:
        responses = self._local(query, udp=False)
        if responses is None:
            return await self._forwarder.ask(query, self._view, tcp=True)
        return query[:2] + responses[0] if responses else b""

    def _spawn(self, work: object) -> None:
        task: asyncio.Task[None] = self._loop.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _rotations(records: list[bytes]) -> list[list[bytes]]:
    """Each record first once, so that clients who take the first spread over the replicas."""
    if len(records) < 2:
        return [records]
    return [records[start:] + records[:start] for start in range(len(records))]

"""Ask the upstream servers for names that are not ours, and hand back their answer as it came.

Each query goes out from a fresh socket (random port) with a random id, and an answer counts only with that id, from that
server, and with the same question. A server that stays silent is overtaken by the next one, not waited out.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from typing import TYPE_CHECKING

from runtime.dns.message import REFUSED, SERVFAIL, rcode_of, refusal, same_question
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    from runtime.dns.zones import Upstream, View

_MAX_RUNNING = 1024
_MAX_RESPONSE = 65535
_OVERTAKE = 1.0
_CLONE_NEWNET = 0x40000000
_ROUNDS = 2


class Forwarder:
    """Forwards for all sandboxes of an engine; at most 1024 queries at a time, more are answered SERVFAIL."""

    def __init__(self) -> None:
        self._running = 0

    async def ask(self, query: bytes, view: View, *, tcp: bool) -> bytes:
        """The upstream's response to `query`, under its id; SERVFAIL when no server gives one in time."""
        if not view.reachable or self._running >= _MAX_RUNNING:
            return refusal(query, SERVFAIL)
        self._running += 1
        try:
            async with asyncio.timeout(view.timeout):
                return await self._race(query, view, tcp=tcp)
        except TimeoutError:
            return refusal(query, SERVFAIL)
        finally:
            self._running -= 1

    async def _race(self, query: bytes, view: View, *, tcp: bool) -> bytes:
        """Start one server after the other, the next one when the last is slow or refuses; the first good answer wins."""
        waiting: set[asyncio.Task[bytes]] = set()
        bad = b""
        try:
            for upstream in view.reachable * _ROUNDS:
                waiting.add(asyncio.ensure_future(_ask_one(query, upstream, tcp=tcp)))
                done, waiting = await asyncio.wait(waiting, timeout=_OVERTAKE, return_when=asyncio.FIRST_COMPLETED)
                good, bad = _pick(done, bad)
                if good:
                    return good
            while waiting:
                done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                good, bad = _pick(done, bad)
                if good:
                    return good
            return bad or refusal(query, SERVFAIL)
        finally:
            for task in waiting:
                task.cancel()


def _pick(done: set[asyncio.Task[bytes]], bad: bytes) -> tuple[bytes, bytes]:
    """(a good answer or nothing, a bad one to give if nobody has a better)."""
    for task in done:
        if task.exception() is not None:
            continue
        response = task.result()
        if rcode_of(response) not in (SERVFAIL, REFUSED):
            return response, bad
        bad = response
    return b"", bad


async def _ask_one(query: bytes, upstream: Upstream, *, tcp: bool) -> bytes:
    """One server's response under the query's id; raises OSError."""
    own = secrets.token_bytes(2)
    sock = _socket(upstream, tcp=tcp)
    with sock:
        loop = asyncio.get_running_loop()
        await loop.sock_connect(sock, (upstream.address.partition("%")[0], upstream.port))
        asked = own + query[2:]
        await loop.sock_sendall(sock, len(asked).to_bytes(2, "big") + asked if tcp else asked)
        while True:
            response = await _read_tcp(loop, sock) if tcp else await loop.sock_recv(sock, _MAX_RESPONSE)
            if response[:2] == own and len(response) >= 12 and response[2] & 0x80 and same_question(asked, response):
                return query[:2] + response[2:]
            if tcp:
                raise ConnectionError("answer to another question")


async def _read_tcp(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> bytes:
    size = int.from_bytes(await _read_exactly(loop, sock, 2), "big")
    return await _read_exactly(loop, sock, size)


async def _read_exactly(loop: asyncio.AbstractEventLoop, sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        part = await loop.sock_recv(sock, size - len(data))
        if not part:
            raise ConnectionError("connection closed by server")
        data += part
    return data


def _socket(upstream: Upstream, *, tcp: bool) -> socket.socket:
    """A socket that belongs to the upstream's network namespace; the thread is back in its own when this returns."""
    family = socket.AF_INET6 if ":" in upstream.address else socket.AF_INET
    kind = (socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    if upstream.netns_fd is None:
        return socket.socket(family, kind)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        KERNEL.setns(upstream.netns_fd, _CLONE_NEWNET)
        try:
            return socket.socket(family, kind)
        finally:
            KERNEL.setns(home, _CLONE_NEWNET)
    finally:
        os.close(home)

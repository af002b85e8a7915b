"""The engine's side of one shim: commands to it, its reports to the container's owner.

A shim lives as long as one run of a container. Its reports arrive in the order in which things happened; the exit
record lies on disk before the report of the exit.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any, Protocol

from runtime.engine.channel import Channel
from runtime.errors import Unavailable, from_wire
from runtime.version import PROTOCOL, VERSION
from runtime.wire import seqpacket, unixsocket

if TYPE_CHECKING:
    from collections.abc import Callable

REPORTS = frozenset({"created", "started", "start_failed", "exited", "error"})


def client_stream(shim_socket: str) -> socket.socket:
    """A non-blocking stream to a shim for one client: its first frame says what it wants. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        try:
            with unixsocket.connect(shim_socket, socket.SOCK_SEQPACKET) as peer:
                seqpacket.send(peer, {"type": "client"}, [theirs.fileno()])
        except OSError:
            ours.close()
            raise
    ours.setblocking(False)
    return ours


class ProbeSink(Protocol):
    """Whoever waits for the result of a probe."""

    def __call__(self, result: dict[str, Any]) -> None: ...


class ShimLink:
    """A connection to a shim; `on_report` gets created, started, start_failed, exited and error, `on_lost` an EOF."""

    def __init__(
        self,
        sock: socket.socket,
        on_report: Callable[[dict[str, Any]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self.pid = 0
        self.pidfd = -1
        self._on_report = on_report
        self._on_lost = on_lost
        self._probes: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._hello: asyncio.Future[dict[str, Any]] | None = None
        self._held: asyncio.Future[dict[str, int]] | None = None
        self._channel = Channel(sock, self._message, self._lost)

    @property
    def alive(self) -> bool:
        return not self._channel.closed

    async def hello(self) -> dict[str, Any]:
        """Greet a shim found running; its answer tells the state of its container."""
        self._hello = asyncio.get_running_loop().create_future()
        self._send({"type": "hello", "version": VERSION, "protocol": PROTOCOL})
        return await asyncio.wait_for(self._hello, 5)

    async def fetch(self) -> dict[str, int]:
        """The descriptors that the shim holds for its sandbox, by name; the caller owns them."""
        self._held = asyncio.get_running_loop().create_future()
        self._send({"type": "fetch"})
        return await asyncio.wait_for(self._held, 5)

    def go(self) -> None:
        self._send({"type": "go"})

    def kill(self, signal: int, *, everything: bool = False) -> None:
        self._send({"type": "kill", "signal": signal, "all": everything})

    async def probe(self, probe_id: str, process: dict[str, Any], timeout: float, max_output: int) -> dict[str, Any]:
        """Run a command in the container under the shim's own time-out; raises Unavailable if the shim is lost."""
        future: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._probes[probe_id] = future
        try:
            self._send(
                {"type": "probe", "id": probe_id, "process": process, "timeout": timeout, "max_output": max_output}
            )
            return await future
        finally:
            self._probes.pop(probe_id, None)

    def cancel_probes(self) -> None:
        for probe_id in list(self._probes):
            self._send({"type": "probe_cancel", "id": probe_id})

    def release(self) -> None:
        """The run is over and its exit noted: the shim may go."""
        if self.alive:
            self._send({"type": "release"})

    def guard(self, engine: dict[str, Any], zygote: int) -> None:
        """Tell a shim of another version how to bring this engine back, and which zygote does so first."""
        self._send({"type": "guard", "engine": engine, "zygote": zygote})

    def bye(self) -> None:
        """This engine leaves; the shim shall not start another."""
        if self.alive:
            self._send({"type": "bye"})

    def close(self) -> None:
        self._channel.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._channel.send(message)
        except ConnectionError:
            raise Unavailable("the shim is gone") from None

    def _message(self, message: dict[str, Any], fds: list[int]) -> None:
        kind = message["type"]
        if kind == "created" and fds:
            self.pidfd = fds.pop(0)
        if kind == "held" and self._held is not None and not self._held.done():
            self._held.set_result(dict(zip(message["names"], fds, strict=False)))
            return
        for fd in fds:
            os.close(fd)
        asked = {"hello": self._hello, "fetch": self._held}.get(message.get("request", "")) if kind == "error" else None
        if asked is not None and not asked.done():
            asked.set_exception(from_wire(message["error"]))
        elif kind in REPORTS:
            self._on_report(message)
        elif kind == "hello" and self._hello is not None and not self._hello.done():
            self.pid = int(message["pid"])
            self._hello.set_result(message)
        elif kind == "probe_result":
            waiting = self._probes.get(message["id"])
            if waiting is not None and not waiting.done():
                waiting.set_result(message)

    def _lost(self) -> None:
        gone = Unavailable("the shim is gone")
        for future in (*self._probes.values(), self._hello, self._held):
            if future is not None and not future.done():
                future.set_exception(gone)
        self._on_lost()

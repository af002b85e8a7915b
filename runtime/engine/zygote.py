"""The engine's side of the zygote: requests in order, answers in order, a dead zygote replaced.

The zygote answers one request after the other, so futures wait in a queue. Descriptors that must outlive the engine
are stored with it; the engine keeps duplicates and stores them again when the zygote had to be replaced. One of another
version is replaced too: shims are to be of the engine's own version, and a dead engine to come back as it was.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import TYPE_CHECKING, Any

from runtime.engine.channel import Channel
from runtime.engine.log import log
from runtime.errors import EngineError, SystemFailure, Unavailable, from_wire
from runtime.shim import launch
from runtime.version import PROTOCOL, VERSION

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from runtime.paths import Paths

Answer = tuple[dict[str, Any], list[int]]
REQUEST_TIMEOUT = 20.0
"""Seconds: a zygote that takes longer is stuck, and saying so beats waiting."""


class Zygote:
    """One living zygote, whoever started it."""

    def __init__(self, paths: Paths, on_replaced: Callable[[], None]) -> None:
        self.paths = paths
        self.pid = 0
        self.version = ""
        self.bundles = -1
        """The directory with the OCI bundles, which only the zygote and what it forks see at its path."""
        self.kept: dict[str, int] = {}
        """Descriptors in the store, by key: our duplicates."""
        self._on_replaced = on_replaced
        self._channel: Channel | None = None
        self._waiting: deque[asyncio.Future[Answer]] = deque()
        self._connecting: asyncio.Task[None] | None = None
        self._stopping = False
        self._child = 0

    async def connect(self) -> None:
        """Find the zygote of this data root or start one; called again when it died."""
        try:
            sock = launch.connect(self.paths)
        except Unavailable:
            sock, self._child = launch.start(self.paths)
        await self._greet(sock)

    async def succeed(self) -> None:
        """Put a zygote of this version in the place of another one, which stays as the parent of the shims it has.

        To be called after `fetch_all`, before anything is asked for that shims depend on.
        """
        if self.version == VERSION:
            return
        old, older = self._channel, self.pid
        await self.request("retire")
        self._channel = None
        if old is not None:
            old.close()
        sock, self._child = launch.start(self.paths)
        await self._greet(sock)
        log.info("zygote %d took over from %d, which was of another version", self.pid, older)
        for key, fd in list(self.kept.items()):
            await self.request("store", [fd], key=key)

    async def _greet(self, sock: socket.socket) -> None:
        self._channel = Channel(sock, self._answered, self._lost)
        hello, _ = await self.request("hello", version=VERSION, protocol=PROTOCOL)
        self.pid, self.version = int(hello["pid"]), str(hello["version"])
        if self.version != VERSION:
            return  # to be succeeded: it makes no more containers
        _, fds = await self.request("bundles")
        if self.bundles >= 0:
            os.close(self.bundles)
        self.bundles = fds[0]

    async def request(self, kind: str, fds: Sequence[int] = (), **fields: Any) -> Answer:
        """Send a request and wait for its answer; the caller owns the descriptors in it.

        Raises the EngineError that the zygote answered, or Unavailable if it died meanwhile.
        """
        if self._channel is None and self._connecting is not None:
            await asyncio.shield(self._connecting)
        if self._channel is None:
            raise Unavailable("the zygote is not running")
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        try:
            self._channel.send({"type": kind, **fields}, fds)
        except ConnectionError:
            raise Unavailable("the zygote died") from None
        self._waiting.append(future)
        answer, received = await asyncio.wait_for(asyncio.shield(future), REQUEST_TIMEOUT)
        if "error" in answer:
            for fd in received:
                os.close(fd)
            raise from_wire(answer["error"])
        return answer, received

    async def keep(self, key: str, fd: int) -> None:
        """Put a duplicate of `fd` into the store; the engine's copy stays the caller's own under `kept`."""
        self.kept[key] = fd
        await self.request("store", [fd], key=key)

    async def sandbox(self, keys: Sequence[str], *, dns: bool) -> list[int]:
        """A new network namespace's descriptors, stored under `keys` in their order; the engine's copies are `kept`."""
        _, fds = await self.request("sandbox", dns=dns, keys=list(keys))
        self.kept.update(zip(keys, fds, strict=False))
        return fds

    async def drop(self, keys: Sequence[str]) -> None:
        """Forget stored descriptors and close the engine's copies."""
        for key in keys:
            fd = self.kept.pop(key, None)
            if fd is not None:
                os.close(fd)
        try:
            await self.request("drop", keys=list(keys))
        except Unavailable:
            return  # a replaced zygote never had it

    async def fetch_all(self) -> None:
        """Take duplicates of everything that an earlier engine stored."""
        answer, _ = await self.request("keys")
        for key in answer["keys"]:
            _, fds = await self.request("fetch", key=key)
            if fds:
                self.kept[key] = fds[0]

    async def bye(self) -> None:
        """The engine leaves for good: no restart wanted."""
        self._stopping = True
        try:
            await self.request("bye")
        except (TimeoutError, Unavailable):
            return

    async def hand_over(self) -> None:
        """Another engine is on its way: this one is not to be brought back meanwhile."""
        try:
            await self.request("handover")
        except (TimeoutError, EngineError) as error:
            log.warning("zygote %d was not told of the handover: %s", self.pid, error)

    def leave(self) -> None:
        """Stop minding the zygote; it goes on."""
        self._stopping = True
        if self._channel is not None:
            self._channel.close()

    def _answered(self, message: dict[str, Any], fds: list[int]) -> None:
        if not self._waiting:
            log.error("the zygote answered what nobody asked: %s", message)
            return
        future = self._waiting.popleft()
        if future.done():
            for fd in fds:
                os.close(fd)
            return
        future.set_result((message, fds))

    def _lost(self) -> None:
        self._channel = None
        self._reap()
        for future in self._waiting:
            if not future.done():
                future.set_exception(Unavailable("the zygote died"))
        self._waiting.clear()
        if self._stopping:
            return
        log.warning("the zygote %d died: starting another", self.pid)
        self._connecting = asyncio.get_running_loop().create_task(self._replace())

    def _reap(self) -> None:
        """Take the exit status of a zygote that was our child: nobody else can."""
        if self._child:
            try:
                os.waitpid(self._child, os.WNOHANG)
            except ChildProcessError:
                pass
            self._child = 0

    async def _replace(self) -> None:
        try:
            await self.connect()
            for key, fd in list(self.kept.items()):
                await self.request("store", [fd], key=key)
        except (SystemFailure, Unavailable, OSError) as error:
            log.error("no zygote could be started: %s", error)
            return
        finally:
            self._connecting = None
        self._on_replaced()

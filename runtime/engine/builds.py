"""Builds as the engine sees them: a worker does the work; the engine gives its containers networks and passes on events.

Each namespace that a build asks for is a sandbox like a container's, on the default bridge with the engine's resolver,
and goes with the build.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING, Any, cast

from runtime.engine.channel import Channel
from runtime.engine.clock import new_id
from runtime.errors import EngineError, SystemFailure
from runtime.wire import seqpacket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

GRACE = 10.0
"""Seconds that a build which is given up has to put away its finished steps."""


class _Endpoint:
    """What a sandbox needs of a container: a build's step has no more than that."""

    def __init__(self, mode: str) -> None:
        self.record = _Record(mode)
        self.running = True
        self.active = True


class _Record:
    def __init__(self, mode: str) -> None:
        self.id = new_id()
        self.name = f"build-{self.id[:12]}"
        self.endpoints: dict[str, Any] = {}
        self.host_config: dict[str, Any] = {"NetworkMode": mode}
        self.config: dict[str, Any] = {}


class _Networks:
    """The sandboxes of one build."""

    def __init__(self, engine: Engine, sock: socket.socket) -> None:
        self._engine = engine
        self._made: list[Container] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._channel = Channel(sock, self._asked, lambda: None)

    def _asked(self, message: dict[str, Any], fds: list[int]) -> None:
        for fd in fds:
            os.close(fd)
        task = asyncio.get_running_loop().create_task(self._answer(str(message.get("mode"))))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, mode: str) -> None:
        try:
            held, gateway = await self._make(mode)
        except EngineError as error:
            self._channel.send({"error": error.to_wire()})
            return
        with contextlib.suppress(ConnectionError):
            self._channel.send({"gateway": gateway, "embedded": "dns_udp" in held}, [held["netns"]])

    async def _make(self, mode: str) -> tuple[dict[str, int], str]:
        endpoint = cast("Container", _Endpoint(mode))
        self._made.append(endpoint)
        held = await self._engine.sandboxes.acquire(endpoint)
        await self._engine.sandboxes.wire(endpoint)
        gateways = [settings.get("Gateway") for settings in endpoint.record.endpoints.values()]
        return held, str(next(filter(None, gateways), ""))

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        self._channel.close()
        for endpoint in self._made:
            await self._engine.sandboxes.release(endpoint)
            self._engine.sandboxes.forget(endpoint)


async def build(engine: Engine, args: dict[str, Any], vertex: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run a BuildImage operation: `Id`, `RepoTags`, `Size`; empty if only files were asked for.

    `vertex` gets the events of its steps (runtime.build.progress). Raises the build's error.
    """
    ours, theirs = seqpacket.pair()
    networks = _Networks(engine, ours)
    events = engine.workers.run(
        "build_image", {"args": args, "engine": engine.id}, {"channel": theirs.fileno()}, grace=GRACE
    )
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                theirs.close()  # the worker has its own
                if event["status"] == "vertex":
                    vertex(event["vertex"])
                elif event["status"] == "finished":
                    result = dict(event["result"])
                    if result:
                        engine.events.publish("image", "build", result["Id"], result["Id"], {"name": result["Id"]})
                    return result
    finally:
        theirs.close()
        await networks.close()
        engine.images_changed()
    raise SystemFailure("build: the worker ended without a result")

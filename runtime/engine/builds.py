"""Builds as the engine sees them: a worker does the work; the engine gives its containers networks and passes on events.

Each namespace that a build asks for is a sandbox like a container's, on the default bridge with the engine's resolver,
and goes with the build.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any, cast

from runtime.engine.channel import Channel
from runtime.engine.clock import new_id
from runtime.errors import EngineError, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

GRACE = 10.0
"""Seconds that a build which is given up has to put away its finished steps."""


SPARE_SECONDS = 300.0
"""How long a worker waits for the next build."""
SPARE_DELAY = 0.05
"""Seconds after a build: what comes right behind it goes first."""


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


class Builders:
    """The worker for the next build, started when one has ended: who builds once builds again, and its imports take long."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._spare: _Builder | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> _Builder:
        """A worker that waits for its request."""
        spare, self._spare = self._spare, None
        if self._timer is not None:
            self._timer.cancel()
        if spare is not None and spare.process.returncode is None:
            return spare
        return await self._start()

    def prepare(self) -> None:
        """Start the worker for the next build; it goes after a while if there is none."""
        if self._spare is None and (self._task is None or self._task.done()):
            self._task = asyncio.get_running_loop().create_task(self._prepare())

    async def _prepare(self) -> None:
        await asyncio.sleep(SPARE_DELAY)
        self._spare = await self._start()
        self._timer = asyncio.get_running_loop().call_later(SPARE_SECONDS, self._drop)

    def _drop(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare.ours.close()
            with contextlib.suppress(ProcessLookupError):
                spare.process.kill()

    async def _start(self) -> _Builder:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = await self._engine.workers.start("build_image", (theirs.fileno(),))
            return _Builder(process, ours, theirs.fileno())


class _Builder:
    """A worker that waits for its request; `channel` is the number of its end of the socket `ours`."""

    def __init__(self, process: asyncio.subprocess.Process, ours: socket.socket, channel: int) -> None:
        self.process = process
        self.ours = ours
        self.channel = channel


async def build(engine: Engine, args: dict[str, Any], vertex: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Run a BuildImage operation: `Id`, `RepoTags`, `Size`; empty if only files were asked for.

    `vertex` gets the events of its steps (runtime.build.progress). Raises the build's error.
    """
    builder = await engine.builders.take()
    networks = _Networks(engine, builder.ours)
    request = {"args": args, "engine": engine.id, "channel": builder.channel}
    events = engine.workers.run("build_image", request, grace=GRACE, process=builder.process)
    try:
        async with contextlib.aclosing(events):
            async for event in events:
                if event["status"] == "vertex":
                    vertex(event["vertex"])
                elif event["status"] == "finished":
                    result = dict(event["result"])
                    if result:
                        engine.events.publish("image", "build", result["Id"], result["Id"], {"name": result["Id"]})
                    return result
    finally:
        await networks.close()
        engine.builders.prepare()
        engine.images_changed()
    raise SystemFailure("build: the worker ended without a result")

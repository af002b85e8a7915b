"""Files into a container: the connection becomes a stream of frames to its shim, which unpacks them.

The engine looks at no file: it finds the container and connects the two.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.api import streams
from runtime.engine.firstattach import FirstAttach
from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine


async def put(engine: Engine, request: Request) -> None:
    """Delete what `Delete` lists, then unpack the tar stream of the STDIN frames below `path`; EXIT says what was done.

    With `BeforeStart` it is done in the container's next run, before its program starts; STARTED says when to send.
    """
    container = engine.container(request.parts[0])
    body = request.json()
    deletions = body.get("Delete") or []
    if not isinstance(deletions, list) or not all(isinstance(path, str) for path in deletions):
        raise InvalidParameter("archive: Delete is not a list of paths")
    start = {"archive": {"path": request.text("path", "/"), "delete": deletions}}
    if body.get("BeforeStart") and not container.running:
        await _before_start(engine, container, request, start)
        return
    streams.require_running(container)
    await streams.splice(engine, container, request, start)


async def _before_start(engine: Engine, container: Container, request: Request, start: dict[str, Any]) -> None:
    waiting = FirstAttach()
    container.attaching.append(waiting)
    created = asyncio.ensure_future(waiting.created.wait())
    try:
        client_reader, client_writer, early = await request.hijack(streams.UPGRADE)
        # The client says nothing before STARTED: that it can be read means that it left.
        leaving = asyncio.ensure_future(client_reader.read(1))
        await asyncio.wait({created, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not created.done():
            return
        await asyncio.wait({leaving})
        shim_reader, shim_writer = await streams.to_shim(engine, container, start)
        try:
            shim_writer.write(early)
            await streams.pump(client_reader, client_writer, shim_reader, shim_writer)
        finally:
            shim_writer.close()
    finally:
        created.cancel()
        waiting.settled.set()
        if waiting in container.attaching:
            container.attaching.remove(waiting)

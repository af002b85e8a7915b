"""Files into a container and out of it: the connection becomes a stream of frames to whoever reads and writes them.

That is the container's shim, or a process of the zygote's while the container does not run. The engine looks at no
file: it finds the container and connects the two.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.api import streams
from runtime.engine import atrest
from runtime.engine.firstattach import announced
from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine


async def put(engine: Engine, request: Request) -> None:
    """Delete what `Delete` lists, then unpack the tar stream of the STDIN frames below `path`; EXIT says what was done.

    With `BeforeStart` it is done in the container's next run, before its program starts; STARTED says when to send.
    With `Strict` `path` must be a directory, none is replaced, and the container need not run. With `CopyUIDGID` the
    files are to be the container's user's.
    """
    container = engine.container(request.parts[0])
    body = request.json()
    deletions = body.get("Delete") or []
    if not isinstance(deletions, list) or not all(isinstance(path, str) for path in deletions):
        raise InvalidParameter("archive: Delete is not a list of paths")
    wanted = {"path": request.text("path", "/"), "delete": deletions}
    start = {"archive": wanted}
    if body.get("Strict"):
        user = _user(engine, container) if body.get("CopyUIDGID") else ""
        await _splice(engine, container, request, {**wanted, "strict": True, "user": user})
        return
    if body.get("BeforeStart") and not container.running:
        await _before_start(engine, container, request, start)
        return
    streams.require_running(container)
    await streams.splice(engine, container, request, start)


async def get(engine: Engine, request: Request) -> None:
    """The tar stream of what is at `path`, in STDOUT frames; with `stat` only what is there, in EXIT's `Stat`.

    `follow` makes `stat` follow a link, see runtime.shim.pack.look.
    """
    container = engine.container(request.parts[0])
    operation = "stat" if request.flag("stat") else "get"
    wanted = {"operation": operation, "path": request.text("path"), "follow": request.flag("follow")}
    if not wanted["path"]:
        raise InvalidParameter("archive: path is empty")
    await _splice(engine, container, request, wanted)


async def _splice(engine: Engine, container: Container, request: Request, wanted: dict[str, Any]) -> None:
    """By way of the shim, or with the files of the container at rest."""
    if container.running:
        await streams.splice(engine, container, request, {"archive": wanted})
        return
    async with container.files:
        if container.running:
            await streams.splice(engine, container, request, {"archive": wanted})
            return
        sock = await atrest.connect(engine, container, wanted)
        reader, writer = await asyncio.open_unix_connection(sock=sock)
        try:
            client_reader, client_writer, early = await request.hijack(streams.UPGRADE)
            writer.write(early)
            await streams.pump(client_reader, client_writer, reader, writer)
        finally:
            writer.close()


def _user(engine: Engine, container: Container) -> str:
    own = container.record.config.get("User")
    return str(own or engine.images.config_of(container.record.image).get("User") or "")


async def _before_start(engine: Engine, container: Container, request: Request, start: dict[str, Any]) -> None:
    with announced(container) as waiting:
        client_reader, client_writer, early = await request.hijack(streams.UPGRADE)
        # The client says nothing before STARTED: that it can be read means that it left.
        leaving = asyncio.ensure_future(client_reader.read(1))
        await asyncio.wait({waiting.created, leaving}, return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not waiting.created.done():
            return
        await asyncio.wait({leaving})
        shim_reader, shim_writer = await streams.to_shim(engine, container, start)
        try:
            shim_writer.write(early)
            await streams.pump(client_reader, client_writer, shim_reader, shim_writer)
        finally:
            shim_writer.close()

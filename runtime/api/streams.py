"""Streams: events, logs for callers that cannot read the file, and hijacked exec and attach connections."""

from __future__ import annotations

import asyncio
import json
import os
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from runtime.engine import shimlink
from runtime.engine.firstattach import announced
from runtime.errors import Conflict, InvalidParameter, Unavailable
from runtime.wire import frames

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

UPGRADE = "pycompose-frames"
SPLICE_SIZE = 1 << 16
LOG_POLL = 0.05
"""Seconds between looks at a log file that is followed through the engine."""
PROJECT_LABEL = "com.docker.compose.project"


async def events(engine: Engine, request: Request) -> None:
    """Events from now on, of one project or of all; the head is sent at once.

    `since` and `until` (RFC 3339, UTC) bring those that are remembered first, `until` also ends the stream then.
    """
    project = request.text("project")
    since, until = (request.text(name).removesuffix("Z") for name in ("since", "until"))

    def wanted(event: dict[str, Any]) -> bool:
        return not project or event["attributes"].get(PROJECT_LABEL) == project

    subscription = engine.events.subscribe(wanted)
    past = [event for event in engine.events.ring if wanted(event)] if since or until else []
    leaving = asyncio.ensure_future(_until(request, until))
    try:
        await request.begin_stream()
        for event in past:
            if since <= event["time"] and (not until or event["time"] < until):
                await request.write_json(event)
        while True:
            getting = asyncio.ensure_future(subscription.next())
            done, _ = await asyncio.wait({getting, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if getting not in done:
                getting.cancel()
                break
            await request.write_json(getting.result())
        await request.end_stream()
    finally:
        leaving.cancel()
        engine.events.unsubscribe(subscription)


async def _until(request: Request, until: str) -> None:
    """Return when the client is gone, or at a moment if one is given."""
    gone = request.connection.wait_closed_by_client()
    if not until:
        await gone
        return
    try:
        moment = datetime.fromisoformat(until).replace(tzinfo=UTC).timestamp()
    except ValueError:
        gone.close()
        return
    try:
        await asyncio.wait_for(gone, max(0.0, moment - time.time()))
    except TimeoutError:
        return


async def logs(engine: Engine, request: Request) -> None:
    """The raw json-file lines of a container, rotated files first; `follow` goes on until it ended."""
    container = engine.container(request.parts[0])
    path = engine.paths.container_log(container.record.id)
    await request.begin_stream()
    rotated = sorted(
        (name for name in os.listdir(os.path.dirname(path)) if name.startswith(f"{os.path.basename(path)}.")),
        key=lambda name: -int(name.rpartition(".")[2]) if name.rpartition(".")[2].isdecimal() else 0,
    )
    for name in rotated:
        await _copy_file(request, f"{os.path.dirname(path)}/{name}", 0)
    position = await _copy_file(request, path, 0)
    while request.flag("follow") and container.active and not container.gone:
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(container.changed())), LOG_POLL)
        except TimeoutError:
            pass
        if os.path.exists(path) and os.stat(path).st_size < position:
            position = 0
        position = await _copy_file(request, path, position)
    await _copy_file(request, path, position)
    await request.end_stream()


async def _copy_file(request: Request, path: str, position: int) -> int:
    try:
        stream = open(path, "rb")  # noqa: SIM115 - closed below; absence is no error
    except FileNotFoundError:
        return 0
    with stream:
        stream.seek(position)
        while data := stream.read(SPLICE_SIZE):
            await request.write(data)
            position += len(data)
    return position


async def execute(engine: Engine, request: Request) -> None:
    """Run a command in a running container; the connection becomes a stream of frames."""
    container = engine.container(request.parts[0])
    body = request.json()
    if not isinstance(body.get("Cmd"), list) or not body["Cmd"]:
        raise InvalidParameter("exec: Cmd is missing")
    if container.record.status == "paused":
        raise Conflict(f"container {container.record.name} is paused, unpause the container before exec")
    require_running(container)
    exec_id = os.urandom(16).hex()
    start = {
        "exec": {
            "id": exec_id,
            "process": engine.exec_process(container, body),
            "tty": bool(body.get("Tty")),
            "stdin": bool(body.get("AttachStdin")),
            "detach": bool(body.get("Detach")),
            "size": body.get("ConsoleSize"),
        }
    }
    container.tell(f"exec_start: {' '.join(body['Cmd'])}", execID=exec_id)
    await splice(engine, container, request, start)


async def attach(engine: Engine, request: Request) -> None:
    """Attach to a container's own stdio; the connection becomes a stream of frames."""
    container = engine.container(request.parts[0])
    body = request.json()
    start = {"attach": True, "stdin": bool(body.get("Stdin")), "logs": bool(body.get("Logs"))}
    if body.get("BeforeStart"):
        await _attach_first(engine, container, request, start)
        return
    require_running(container)
    container.tell("attach")
    await splice(engine, container, request, start)


async def _attach_first(engine: Engine, container: Container, request: Request, start: dict[str, Any]) -> None:
    """Answer at once, attach when the next run is created and before it starts; the client submits the start."""
    if container.running:
        raise Conflict(f"container {container.record.name} is running already")
    with announced(container) as waiting:
        client_reader, client_writer, early = await request.hijack(UPGRADE)
        speaking = asyncio.ensure_future(client_reader.read(SPLICE_SIZE))
        await asyncio.wait({waiting.created, speaking}, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.created.done():
            early += (said := speaking.result())
            if not said:
                return
            await waiting.created
        else:
            speaking.cancel()
            await asyncio.wait({speaking})
            early += b"" if speaking.cancelled() else speaking.result()
        shim_reader, shim_writer = await to_shim(engine, container, start)
        try:
            # The shim's first answer says that whatever is written from now on comes here.
            client_writer.write(await shim_reader.read(SPLICE_SIZE))
            waiting.settled.set()
            container.tell("attach")
            shim_writer.write(early)
            await pump(client_reader, client_writer, shim_reader, shim_writer)
        finally:
            shim_writer.close()


def require_running(container: Container) -> None:
    """Raises Conflict."""
    if not container.running:
        raise Conflict(f"container {container.record.name} is not running")


async def splice(engine: Engine, container: Container, request: Request, start: dict[str, Any]) -> None:
    """Connect client and shim and carry bytes both ways; the frames mean nothing here."""
    shim_reader, shim_writer = await to_shim(engine, container, start)
    try:
        client_reader, client_writer, early = await request.hijack(UPGRADE)
        shim_writer.write(early)
        await pump(client_reader, client_writer, shim_reader, shim_writer)
    finally:
        shim_writer.close()


async def to_shim(
    engine: Engine, container: Container, start: dict[str, Any]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection to the container's shim that has said what it wants; raises Unavailable."""
    try:
        sock = shimlink.client_stream(engine.paths.shim_socket(container.record.id))
    except OSError as error:
        raise Unavailable(f"container {container.record.name}: its shim does not answer: {error}") from None
    shim_reader, shim_writer = await asyncio.open_unix_connection(sock=sock)
    shim_writer.write(frames.encode(frames.START, json.dumps(start).encode()))
    await shim_writer.drain()
    return shim_reader, shim_writer


async def pump(
    client_reader: asyncio.StreamReader,
    client_writer: asyncio.StreamWriter,
    shim_reader: asyncio.StreamReader,
    shim_writer: asyncio.StreamWriter,
) -> None:
    """Carry bytes both ways until the shim's side ends."""
    downstream = asyncio.ensure_future(_carry(shim_reader, client_writer))
    upstream = asyncio.ensure_future(_carry(client_reader, shim_writer))
    # The shim's side ends the session; a client that only closed its stdin still wants the output.
    await asyncio.wait({downstream, upstream}, return_when=asyncio.FIRST_COMPLETED)
    if not downstream.done() and client_reader.at_eof():
        await downstream if not client_writer.is_closing() else None
    for task in (downstream, upstream):
        task.cancel()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(SPLICE_SIZE):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        return

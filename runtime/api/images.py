"""Images: list, inspect, tag, prune; import, load and save in workers that may read or write the connection."""

from __future__ import annotations

import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from runtime.api import streams
from runtime.engine.clock import seconds_of
from runtime.errors import EngineError, InvalidParameter
from runtime.wire import frames

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine
    from runtime.images.records import Image


async def listing(engine: Engine, request: Request) -> None:
    await request.reply(engine.list_images())


async def inspect(engine: Engine, request: Request) -> None:
    await request.reply(engine.inspect_image(request.parts[0]))


async def tag(engine: Engine, request: Request) -> None:
    """Give the image one more name, `Reference`."""
    engine.images.tag(request.parts[0], _text(request.json(), "Reference"))
    await request.reply({})


async def prune(engine: Engine, request: Request) -> None:
    """Delete unused images: those without a name, with `All` those with one too; `Labels`, `NotLabels`, `Until` narrow it.

    `Labels`: all of these must match (`key` or `key=value`), none of `NotLabels`; `Until`: only images created before,
    in seconds since the epoch.
    """
    body = request.json()
    wanted, unwanted = _texts(body, "Labels"), _texts(body, "NotLabels")
    until = body.get("Until")

    def chosen(image: Image) -> bool:
        labels = image.config.get("Labels") or {}
        return (
            (until is None or seconds_of(image.created) < float(until))
            and all(_matches(labels, label) for label in wanted)
            and not any(_matches(labels, label) for label in unwanted)
        )

    report, freed = engine.images.prune(chosen, all=bool(body.get("All")))
    await request.reply({"ImagesDeleted": report, "SpaceReclaimed": freed})


async def import_image(engine: Engine, request: Request) -> None:
    """Make an image `Reference` (may be empty) of the root file system in the STDIN frames or in `Directory`; see load.

    `Changes` are Dockerfile instructions, `Message` becomes the image's comment; EXIT brings `Id`.
    """
    body = request.json()
    more = {"reference": str(body.get("Reference") or ""), "changes": _texts(body, "Changes")}
    arguments = {**_source(body), **more, "message": str(body.get("Message") or "")}
    await _run_on_connection(engine, request, "import_image", arguments, sends=not body.get("Directory"), tells=True)


async def load(engine: Engine, request: Request) -> None:
    """Load the archive of the STDIN frames, `Size` bytes (0: unknown), or the layout directory `Directory`.

    Events come in STDERR frames, the last frame is EXIT with `Images` or ERROR. `Name`: what messages call the archive.
    """
    body = request.json()
    await _run_on_connection(engine, request, "load_image", _source(body), sends=not body.get("Directory"), tells=True)


async def save(engine: Engine, request: Request) -> None:
    """An archive of `Images` in STDOUT frames; the last frame is EXIT or ERROR."""
    names = _texts(request.json(), "Images")
    if not names:
        raise InvalidParameter("image save: Images is empty")
    # the worker writes to the connection: our events would fall between the bytes of its frames
    await _run_on_connection(engine, request, "save_image", {"images": names}, sends=True, tells=False)


async def _run_on_connection(
    engine: Engine, request: Request, job: str, arguments: dict[str, Any], *, sends: bool, tells: bool
) -> None:
    """Run a job to which the connection itself is handed (`sends`), and whose events are told on it (`tells`)."""
    writer = request.connection.writer
    # from here on only the worker reads: what the client sends after our 101 must not end in our buffer
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport reads
    _, writer, early = await request.hijack(streams.UPGRADE)
    fds = {"stream": writer.get_extra_info("socket").fileno()} if sends else {}
    last = frames.encode(frames.ERROR, json.dumps(InvalidParameter("stream began too early").to_wire()).encode())
    try:
        if not early:
            async with aclosing(engine.workers.run(job, arguments, fds)) as events:
                async for event in events:
                    if event["status"] == "loaded":
                        engine.images.loaded(event["Id"], event["Tags"])
                    if event["status"] == "finished":
                        last = frames.encode(frames.EXIT, json.dumps({"ExitCode": 0, **event["result"]}).encode())
                    elif tells:
                        writer.write(frames.encode(frames.STDERR, json.dumps(event).encode()))
                        await writer.drain()
    except EngineError as error:
        last = frames.encode(frames.ERROR, json.dumps(error.to_wire()).encode())
    finally:
        engine.images_changed()
    writer.write(last)
    await writer.drain()


def _source(body: Any) -> dict[str, Any]:
    """A directory by its path, or the size and the name of what is sent."""
    return {"source": str(body.get("Directory") or body.get("Name") or "-"), "size": int(body.get("Size") or 0)}


def _matches(labels: dict[str, str], wanted: str) -> bool:
    key, sign, value = wanted.partition("=")
    return key in labels and (not sign or labels[key] == value)


def _text(body: Any, key: str) -> str:
    value = body.get(key) if isinstance(body, dict) else None
    if not isinstance(value, str) or not value:
        raise InvalidParameter(f"image: {key} is missing")
    return value


def _texts(body: Any, key: str) -> list[str]:
    value = body.get(key) or [] if isinstance(body, dict) else None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidParameter(f"image: {key} is not a list of strings")
    return value

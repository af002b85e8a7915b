"""Images: list, inspect, import."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine


async def listing(engine: Engine, request: Request) -> None:
    await request.reply(engine.list_images())


async def inspect(engine: Engine, request: Request) -> None:
    await request.reply(engine.inspect_image(request.parts[0]))


async def import_image(engine: Engine, request: Request) -> None:
    """Import a root file system in a worker; its progress is streamed."""
    body = request.json()
    if not body.get("Source") or not body.get("Reference"):
        raise InvalidParameter("image import: Source and Reference are needed")
    await run_job(
        engine,
        request,
        "import_image",
        {"source": body["Source"], "reference": body["Reference"], "changes": body.get("Changes") or []},
    )


async def run_job(engine: Engine, request: Request, job: str, arguments: dict[str, Any]) -> None:
    """Run a worker job and stream its events."""
    await request.begin_stream()
    try:
        async for event in engine.workers.run(job, arguments):
            await request.write_json(event)
    except EngineError as error:
        await request.write_json({"status": "failed", "error": error.to_wire()})
    engine.images_changed()
    await request.end_stream()

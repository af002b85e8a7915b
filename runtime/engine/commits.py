"""Images and archives of whole containers; a worker reads the files while the container stands still."""

from __future__ import annotations

import os
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter, NotSupported, SystemFailure

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine


async def commit(engine: Engine, args: dict[str, Any]) -> dict[str, Any]:
    """Make an image of a container: `Id`. It is paused meanwhile unless `Pause` is false. Raises NotFound, InvalidParameter."""
    container = engine.container(args["Container"])
    record = container.record
    request: dict[str, Any] = {
        "image": record.image,
        "upper": _upper(engine, container),
        "config": dict(record.config),
        "reference": args.get("Reference") or "",
        "author": args.get("Author") or "",
        "message": args.get("Message") or "",
        "changes": list(args.get("Changes") or ()),
    }
    pausing = args.get("Pause", True) and record.status == "running"
    if pausing:
        await container.pause()
    try:
        result = await _run(engine, "commit_container", request)
    finally:
        if pausing:
            await container.unpause()
        engine.images_changed()
    container.tell("commit", comment=request["message"], imageID=result["Id"])
    return result


async def export(engine: Engine, args: dict[str, Any]) -> dict[str, Any]:
    """Write the files of a `Container` or an `Image` as a tar archive to the absolute path `Output`: `Size`."""
    output = str(args["Output"])
    if not output.startswith("/"):
        raise InvalidParameter(f"export output {output}: not an absolute path")
    if args.get("Image"):
        return await _run(
            engine, "export_container", {"image": engine.images.resolve(args["Image"]).id, "output": output}
        )
    container = engine.container(args["Container"])
    request = {"image": container.record.image, "upper": _upper(engine, container), "output": output}
    result = await _run(engine, "export_container", request)
    container.tell("export")
    return result


def _upper(engine: Engine, container: Container) -> str:
    folder = engine.paths.container(container.record.id)
    if os.path.isdir(f"{folder}/rootfs"):
        raise NotSupported(
            f"container {container.record.name}: its root is a copy, without overlayfs nobody knows what is new"
        )
    upper = f"{folder}/upper"
    os.makedirs(upper, mode=0o755, exist_ok=True)  # one that never ran has written nothing
    return upper


async def _run(engine: Engine, job: str, request: dict[str, Any]) -> dict[str, Any]:
    async with aclosing(engine.workers.run(job, request)) as events:
        async for event in events:
            if event["status"] == "finished":
                return dict(event["result"])
    raise SystemFailure(f"worker {job} ended without a result")

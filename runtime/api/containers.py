"""Containers: list, inspect, and the snapshot that a reconciler reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.engine import measure
from runtime.engine.inspect import inspect_container
from runtime.errors import NotFound

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine

PROJECT_LABEL = "com.docker.compose.project"


async def snapshot(engine: Engine, request: Request) -> None:
    """Everything that decides about a project, as it is at this instant, and a name for this state of it."""
    project = request.text("project")
    containers = [
        inspect_container(engine, item)
        for item in engine.containers.values()
        if not project or item.record.config.get("Labels", {}).get(PROJECT_LABEL) == project
    ]
    images: dict[str, Any] = {}
    for reference in request.query.get("image", ()):
        try:
            images[reference] = engine.inspect_image(reference)
        except NotFound:
            continue
    await request.reply(
        {
            "Containers": containers,
            "Networks": [engine.networks.inspect(record) for record in engine.networks.records.values()],
            "Volumes": engine.volumes.list(),
            "Images": images,
            "Generation": engine.executor.generation(project) if project else "",
        }
    )


async def listing(engine: Engine, request: Request) -> None:
    wanted = [label.partition("=") for label in request.query.get("label", ())]
    everything = request.flag("all")
    await request.reply(
        [
            inspect_container(engine, item)
            for item in engine.containers.values()
            if (everything or item.active) and _matches(item.record.config.get("Labels", {}), wanted)
        ]
    )


async def inspect(engine: Engine, request: Request) -> None:
    await request.reply(inspect_container(engine, engine.container(request.parts[0])))


async def top(engine: Engine, request: Request) -> None:
    """The processes of a running container, as `ps -ef` tells them."""
    await request.reply(measure.top(engine.container(request.parts[0])))


async def stats(engine: Engine, request: Request) -> None:
    """Counters of what a container uses; the caller asks again for rates."""
    await request.reply(measure.stats(engine.container(request.parts[0])))


def _matches(labels: dict[str, str], wanted: list[tuple[str, str, str]]) -> bool:
    return all(key in labels and (not sign or labels[key] == value) for key, sign, value in wanted)

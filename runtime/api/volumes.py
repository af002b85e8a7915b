"""Volumes: list, inspect; how large they are is found out by a worker, only when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.api.server import Request
    from runtime.engine.engine import Engine

UNKNOWN = -1
"""Docker's size of what was not measured."""


async def listing(engine: Engine, request: Request) -> None:
    """All volumes with how many containers mount each, and the bytes in those named by `size`."""
    volumes = engine.volumes.list()
    wanted = set(request.query.get("size", ()))
    trees = {volume["Name"]: volume["Mountpoint"] for volume in volumes if volume["Name"] in wanted}
    sizes: dict[str, int] = {}
    if trees:
        async for event in engine.workers.run("measure_trees", {"trees": trees}):
            sizes = (event.get("result") or {}).get("Sizes") or sizes
    counts: dict[str, int] = {}
    for container in engine.containers.values():
        for name in {mount.get("Name", "") for mount in container.record.mounts if mount.get("Type") == "volume"}:
            counts[name] = counts.get(name, 0) + 1
    await request.reply(
        [
            {
                **volume,
                "UsageData": {
                    "RefCount": counts.get(volume["Name"], 0),
                    "Size": sizes.get(volume["Name"], UNKNOWN),
                },
            }
            for volume in volumes
        ]
    )


async def inspect(engine: Engine, request: Request) -> None:
    await request.reply(engine.volumes.inspect(request.parts[0]))

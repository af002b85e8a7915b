"""What the engine's objects take on disk, as `docker system df` counts it: trees are measured by a worker.

Layers were measured when they were unpacked; a layer that several images share counts once in the sum.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

from runtime.engine.clock import rfc3339
from runtime.engine.inspect import inspect_container
from runtime.images import layers
from runtime.images.buildcache import BuildCache

if TYPE_CHECKING:
    from runtime.engine.engine import Engine


async def disk_usage(engine: Engine) -> dict[str, Any]:
    """LayersSize, Images, Containers, Volumes and BuildCache in Docker's terms; sizes are bytes of file content.

    A container's `SizeRw` is what it wrote over its image; where no overlay is possible, its whole copy of the image.
    """
    containers = list(engine.containers.values())
    volumes = engine.volumes.list()
    trees = {f"container {item.record.id}": _written(engine.paths.container(item.record.id)) for item in containers}
    trees |= {f"volume {volume['Name']}": volume["Mountpoint"] for volume in volumes}
    sizes = await _measured(engine, trees)
    users = Counter(item.record.image for item in containers)
    return {
        **_images(engine, users),
        "Containers": [
            {**inspect_container(engine, item), "SizeRw": sizes.get(f"container {item.record.id}", 0)}
            for item in containers
        ],
        "Volumes": [
            {
                **volume,
                "UsageData": {
                    "Size": sizes.get(f"volume {volume['Name']}", 0),
                    "RefCount": len(engine.volume_users(volume["Name"])),
                },
            }
            for volume in volumes
        ],
        "BuildCache": _build_cache(engine),
    }


def _images(engine: Engine, users: Counter[str]) -> dict[str, Any]:
    store = engine.images.store
    images = store.list()
    wanted = Counter(chain for image in images for chain in image.layers)
    size = {chain: int(layers.record(store, chain).get("size", 0)) for chain in wanted}
    shared = {image.id: sum(size[chain] for chain in image.layers if wanted[chain] > 1) for image in images}
    return {
        "LayersSize": sum(size.values()),
        "Images": [
            {
                "Id": image.id,
                "RepoTags": image.repo_tags,
                "Created": image.created,
                "Size": image.size,
                "SharedSize": shared[image.id],
                "Containers": users[image.id],
            }
            for image in images
        ],
    }


def _build_cache(engine: Engine) -> list[dict[str, Any]]:
    """The steps of builds; `Shared` with an image, or with a step that stands before, which counts the layer then."""
    counted = {chain for image in engine.images.store.list() for chain in image.layers}
    found = []
    for key, step, used_at in BuildCache(engine.images.store.root).entries():
        found.append(
            {
                "ID": key,
                "Type": "regular",
                "Description": step.get("text", ""),
                "InUse": False,
                "Shared": step["chain"] in counted,
                "Size": int(step.get("size") or 0),
                "CreatedAt": step.get("created", ""),
                "LastUsedAt": rfc3339(int(used_at * 1e9)),
            }
        )
        counted.add(step["chain"])
    return found


def _written(container_dir: str) -> str:
    upper = f"{container_dir}/upper"
    return upper if os.path.isdir(upper) else f"{container_dir}/rootfs"


async def _measured(engine: Engine, trees: dict[str, str]) -> dict[str, int]:
    if not trees:
        return {}
    found: dict[str, int] = {}
    async for event in engine.workers.run("measure_trees", {"trees": trees}):
        if event["status"] == "finished":
            found = event["result"]["Sizes"]
    return found

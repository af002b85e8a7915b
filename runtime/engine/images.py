"""Images as the engine uses them: look up, list, and the root file system of a container.

The store is written by workers; the engine reads records and directories and never hashes or unpacks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runtime.errors import NotFound
from runtime.images import hostlayer
from runtime.images.snapshot import choice, copy, overlay
from runtime.images.store import ImageStore

if TYPE_CHECKING:
    from runtime.engine.engine import Engine
    from runtime.images.records import Image


class Images:
    """The image store of this engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = ImageStore(engine.paths)
        self.store.prepare()
        self._by_id: dict[str, Image] = {}
        self._by_reference: dict[str, Image] = {}
        self._snapshotter = ""
        self._host_layer_of: tuple[int, str] = (0, "")
        """(pid of the zygote that mounted it, its directory)."""

    def resolve(self, reference: str) -> Image:
        """By reference, id or id prefix; raises NotFound saying how to get an image."""
        found = self._by_reference.get(reference)
        if found is not None:
            return found
        try:
            found = self._by_reference[reference] = self.store.resolve(reference)
        except NotFound:
            raise NotFound(f"no such image: {reference}", image=reference) from None
        return found

    def by_id(self, image_id: str) -> Image | None:
        """The image of a container; None if it was removed under it."""
        found = self._by_id.get(image_id)
        if found is None:
            try:
                found = self._by_id[image_id] = self.store.resolve(image_id)
            except NotFound:
                return None
        return found

    def config_of(self, image_id: str) -> dict[str, Any]:
        """The image's part of a container's configuration; empty if the image is gone."""
        image = self.by_id(image_id)
        return {} if image is None else image.config

    def list(self) -> list[dict[str, Any]]:
        return [self._wire(image) for image in self.store.list()]

    def inspect(self, reference: str) -> dict[str, Any]:
        return self._wire(self.resolve(reference))

    def remove(self, reference: str) -> None:
        used = {layer for item in self.engine.containers.values() for layer in self._layers_of(item.record.image)}
        self.store.remove(reference, keep_layers=used)
        self.reload()

    def reload(self) -> None:
        """The store changed: only the engine and its workers write to it, so between two of these memory is right."""
        self._by_id.clear()
        self._by_reference.clear()

    async def rootfs(self, image_id: str, container_dir: str) -> dict[str, Any] | None:
        """Prepare a container's root: the overlay that its init mounts, or None for a copied one.

        Raises NotFound if the image is gone.
        """
        image = self.by_id(image_id)
        if image is None:
            raise NotFound(f"image {image_id} of the container is gone", image=image_id)
        layers = [*self.store.layer_dirs(image), *([await self._host_layer()] if image.on_host else [])]
        if self._overlay():
            return overlay.prepare(container_dir, layers)
        if not copy.prepared(container_dir):
            async for _ in self.engine.workers.run("copy_root", {"container_dir": container_dir, "layers": layers}):
                pass
        return None

    def _overlay(self) -> bool:
        if not self._snapshotter:
            self._snapshotter = choice.choose(self.engine.paths.containers)
        return self._snapshotter == "overlay"

    async def _host_layer(self) -> str:
        if self._host_layer_of[0] == self.engine.zygote.pid:
            return self._host_layer_of[1]
        if not hostlayer.needs_copy():
            answer, _ = await self.engine.zygote.request("host_layer")
            self._host_layer_of = (self.engine.zygote.pid, str(answer["lowerdir"]))
            return self._host_layer_of[1]
        if not self.store.has_layer(hostlayer.LAYER):
            async for _ in self.engine.workers.run("copy_host_layer", {}):
                pass
        return self.store.layer_dir(hostlayer.LAYER)

    def _layers_of(self, image_id: str) -> tuple[str, ...]:
        image = self.by_id(image_id)
        return () if image is None else image.layers

    def _wire(self, image: Image) -> dict[str, Any]:
        return {
            "Id": image.id,
            "RepoTags": image.repo_tags,
            "Created": image.created,
            "Size": image.size,
            "Architecture": image.architecture,
            "Os": image.os,
            "Config": image.config,
            "Labels": image.config.get("Labels") or {},
            "BuiltIn": image.id == hostlayer.image_id(),
        }

"""Images as the engine uses them: look up, list, and the root file system of a container.

The store is written by workers; the engine reads records and directories and never hashes or unpacks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runtime.engine import imageview
from runtime.errors import NotFound
from runtime.images import hostlayer, removal
from runtime.images.snapshot import choice, copy, mountpoints, overlay
from runtime.images.store import ImageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.engine.engine import Engine
    from runtime.images.records import Image

ACTIONS = {"Untagged": "untag", "Deleted": "delete"}
"""Lines of a removal's report and the events they become."""

_Strings = list[str]  # inside the class `list` is its method


class Images:
    """The image store of this engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.store = ImageStore(engine.paths)
        self.store.prepare()
        self._by_id: dict[str, Image] = {}
        self._by_reference: dict[str, Image] = {}
        self._snapshotter = ""
        self._has_mount_points = False
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
                found = self.store.held(image_id)
                if found is not None:
                    self._by_id[image_id] = found
        return found

    def config_of(self, image_id: str) -> dict[str, Any]:
        """The image's part of a container's configuration; empty if the image is gone."""
        image = self.by_id(image_id)
        return {} if image is None else image.config

    def list(self) -> list[dict[str, Any]]:
        return [imageview.summary(image) for image in self.store.list()]

    def inspect(self, reference: str) -> dict[str, Any]:
        return imageview.details(self.resolve(reference), self.store)

    def tag(self, reference: str, name: str) -> None:
        """Give an image one more name; raises NotFound, InvalidParameter, Forbidden (built in)."""
        image = self.store.tag(reference, name)
        self.reload()
        self._tell("tag", image.id, name)

    def remove(self, reference: str, *, force: bool = False) -> removal.Report:
        """Take a name from an image, or delete it; see runtime.images.removal."""
        known = self._ids()
        report = removal.remove(self.store, reference, force=force, users=self.users())
        self._removed(report, known)
        return report

    def prune(self, wanted: Callable[[Image], bool], *, all: bool) -> tuple[removal.Report, int]:
        """Delete images that no container uses; what went, and the bytes that are free now."""
        known = self._ids()
        report, freed = removal.prune(self.store, wanted, all=all, users=self.users())
        self._removed(report, known)
        return report, freed

    def users(self) -> removal.Users:
        """The containers of each image: made of it, or with a mount of it."""
        found: removal.Users = {}
        for item in self.engine.containers.values():
            for image_id in {item.record.image, *self._mounted_by(item.record.mounts)}:
                found.setdefault(image_id, []).append(removal.User(item.record.name, item.active))
        return found

    def loaded(self, image_id: str, tags: _Strings) -> None:
        """A worker brought in an image of an archive under these names."""
        self.reload()
        for name in tags or [image_id]:
            self._tell("load", image_id, name)

    def let_go(self, image_id: str) -> None:
        """A container of the image is gone; if that was removed under it before, its content may go now."""
        if self.store.held(image_id) is not None and image_id not in (users := self.users()):
            removal.collect(self.store, users)
            self._by_id.pop(image_id, None)

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
            return overlay.prepare(container_dir, [self._mount_points(), *layers])
        if not copy.prepared(container_dir):
            async for _ in self.engine.workers.run("copy_root", {"container_dir": container_dir, "layers": layers}):
                pass
        return None

    def _mount_points(self) -> str:
        paths = self.engine.paths
        if not self._has_mount_points:
            mountpoints.ensure(paths.mount_points)
            os.makedirs(paths.root_mount_point, mode=0o700, exist_ok=True)
            self._has_mount_points = True
        return paths.mount_points

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

    def _ids(self) -> set[str]:
        return {image.id for image in self.store.list()}

    def _mounted_by(self, mounts: Iterable[Any]) -> _Strings:
        sources = [str(mount.get("Source")) for mount in mounts if mount.get("Type") == "image"]
        found = []
        for source in sources:
            try:
                found.append(self.resolve(source).id)
            except NotFound:
                continue
        return found

    def _removed(self, report: removal.Report, known: set[str]) -> None:
        """Tell what went; of layers, which are in the report too, there are no events."""
        self.reload()
        for line in report:
            for done, name in line.items():
                if done == "Untagged" or name in known:
                    self._tell(ACTIONS[done], name, name)
        self.engine.workers.sweep()

    def _tell(self, action: str, image_id: str, name: str) -> None:
        self.engine.events.publish("image", action, image_id, name, {"name": name})

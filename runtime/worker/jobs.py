"""The jobs a worker knows: image import, load and save, unpacking, copied root file systems, deletion."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter
from runtime.images import layers, partial, workspace
from runtime.images.archive import import_rootfs
from runtime.images.hostcopy import ensure_host_layer
from runtime.images.load import Loaded, load_images
from runtime.images.manifest import check_manifest
from runtime.images.reference import parse
from runtime.images.save import save_images, write_images
from runtime.images.snapshot import copy
from runtime.images.store import ImageStore
from runtime.linux.treeremoval import remove_tree
from runtime.linux.treesize import tree_size
from runtime.worker import buildjobs, containerjobs, registryjobs
from runtime.worker.clientstream import ClientStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.images.records import Image
    from runtime.paths import Paths
    from runtime.worker.events import Events

_NICE: Final = 19
"""Deleting must not slow anybody down; the disk priority follows the CPU's."""


def import_image(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`source` and for a tar that a client sends `stream` and `size`, `reference`, `changes`, `message` -> `Id`, `RepoTags`, `Size`."""
    store = _store(paths)
    image = import_rootfs(
        store,
        str(request["source"]),
        str(request.get("reference") or ""),
        [str(change) for change in request.get("changes") or ()],
        stream=_stream(request),
        total=int(request.get("size") or 0),
        message=str(request.get("message") or ""),
        progress=events.progress,
        warn=events.warning,
    )
    return _summary(image)


def load_image(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`source`, and for an archive that a client sends `stream` (a descriptor) and `size` -> `Images`: list of `Id`, `RepoTags`, `Size`.

    An event `loaded` tells of each image when it is there.
    """

    def tell(loaded: Loaded) -> None:
        replaced = {parse(name).familiar: owner for name, owner in loaded.replaced.items()}
        events.loaded(loaded.image.id, [parse(name).familiar for name in loaded.references], replaced)

    images = load_images(
        _store(paths),
        str(request["source"]),
        stream=_stream(request),
        total=int(request.get("size") or 0),
        progress=events.progress,
        tell=tell,
    )
    return {"Images": [_summary(image) for image in images]}


def save_image(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`images` (references or ids), `output` (a path) or `stream` (a client's descriptor) -> `Ids`."""
    names = [str(name) for name in request["images"]]
    if (stream := _stream(request)) is not None:
        return {"Ids": write_images(_store(paths), names, stream)}
    return {"Ids": save_images(_store(paths), names, str(request["output"]), progress=events.progress)}


def measure_trees(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`trees`: name to directory -> `Sizes`: name to bytes of file content below it."""
    os.nice(_NICE)
    return {"Sizes": {str(name): tree_size(str(path)) for name, path in request["trees"].items()}}


def unpack_layers(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`image` -> `Layers`: directories, top first, of an image whose blobs are here; those missing are unpacked."""
    store = _store(paths)
    image = store.resolve(str(request["image"]))
    if all(store.has_layer(chain) for chain in image.layers):
        return {"Layers": store.layer_dirs(image)}
    _, blobs = check_manifest(store.content.read_json(image.manifest_digest), f"image {image.id}")
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        diff_ids = image.document["rootfs"]["diff_ids"]
        base = "host" if image.on_host else ""
        layers.ensure(store, work, blobs, diff_ids, base=base, progress=events.progress)
    return {"Layers": store.layer_dirs(image)}


def copy_root(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`container_dir`, `layers` (top first) -> the copied root, where overlayfs cannot be used."""
    container_dir = str(request["container_dir"])
    chosen = [str(layer) for layer in request["layers"]]
    copy.prepare(container_dir, chosen, lambda written: events.progress("copying", written, 0))
    return {"Root": f"{container_dir}/rootfs"}


def copy_host_layer(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """Copy the host's programs once, where `/` cannot be a lower layer -> `Layer`: the directory."""
    store = _store(paths)
    return {"Layer": ensure_host_layer(store, lambda written: events.progress("copying", written, 0))}


def empty_trash(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """Delete everything in the trash, and what dead jobs left -> `Removed` and `Kept` (paths that could not go)."""
    os.nice(_NICE)
    images = ImageStore(paths).root
    workspace.sweep(images)
    partial.expire(images)
    removed = 0
    kept: list[str] = []
    # entries that arrive while we are at it are deleted as well
    while True:
        names = [name for name in _listing(paths.trash) if f"{paths.trash}/{name}" not in kept]
        if not names:
            return {"Removed": removed, "Kept": kept}
        for name in names:
            left = remove_tree(f"{paths.trash}/{name}")
            removed += not left
            for path in left:
                events.warning(f"{path}: could not be deleted")
            if left:
                kept.append(f"{paths.trash}/{name}")


def remove_trees(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`paths`: trees below the data or run directory to delete -> `Kept`."""
    os.nice(_NICE)
    kept: list[str] = []
    for path in map(str, request["paths"]):
        real = os.path.normpath(path)
        if not real.startswith((f"{paths.root}/", f"{paths.run}/")):
            raise InvalidParameter(f"remove {path}: not below {paths.root} or {paths.run}")
        kept += remove_tree(real)
    return {"Kept": kept}


JOBS: Final[dict[str, Callable[[Paths, dict[str, Any], Events], dict[str, Any]]]] = {
    "import_image": import_image,
    "load_image": load_image,
    "save_image": save_image,
    "measure_trees": measure_trees,
    "unpack_layers": unpack_layers,
    "copy_root": copy_root,
    "copy_host_layer": copy_host_layer,
    "empty_trash": empty_trash,
    "remove_tree": remove_trees,
    "build_image": buildjobs.build_image,
    "commit_container": containerjobs.commit_container,
    "export_container": containerjobs.export_container,
    "pull_image": registryjobs.pull_image,
    "push_image": registryjobs.push_image,
    "resolve_digest": registryjobs.resolve_digest,
    "list_tags": registryjobs.list_tags,
    "check_login": registryjobs.check_login,
    "fetch_artifact": registryjobs.fetch_artifact,
    "publish_artifact": registryjobs.publish_artifact,
}

PRELOADS: Final[dict[str, Callable[[], None]]] = {
    "build_image": buildjobs.preload,
    "pull_image": registryjobs.preload,
    "push_image": registryjobs.preload,
    "resolve_digest": registryjobs.preload,
    "list_tags": registryjobs.preload,
    "check_login": registryjobs.preload,
}
"""What a template imports when the first of these jobs comes."""


def _store(paths: Paths) -> ImageStore:
    """The image store, rid of what killed jobs left behind."""
    store = ImageStore(paths)
    store.prepare()
    workspace.sweep(store.root)
    return store


def _stream(request: dict[str, Any]) -> ClientStream | None:
    """The client's connection, where the engine handed it over."""
    return ClientStream(int(request["stream"])) if "stream" in request else None


def _summary(image: Image) -> dict[str, Any]:
    return {"Id": image.id, "RepoTags": image.repo_tags, "Size": image.size}


def _listing(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except FileNotFoundError:
        return []

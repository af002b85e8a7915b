"""Make an image of a container: its image's layers and one more, of what the container wrote over them.

The container's upper directory is copied, never taken: the container goes on writing to it.
"""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any, Final

from runtime.images import changes as instructions
from runtime.images import layers, workspace
from runtime.images.archive import manifest_of, now
from runtime.images.compression import CHUNK
from runtime.images.layertar import TreeTar
from runtime.images.manifest import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Descriptor, chain_ids, check_manifest
from runtime.images.reference import parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.images.records import Image
    from runtime.images.store import ImageStore

_REPLACED: Final = ("Cmd", "Entrypoint", "User", "WorkingDir", "StopSignal", "Healthcheck")
_MERGED: Final = ("Labels", "ExposedPorts", "Volumes")


def commit(
    store: ImageStore,
    image: Image,
    upper: str,
    config: Mapping[str, Any],
    *,
    reference: str = "",
    author: str = "",
    message: str = "",
    changes: Sequence[str] = (),
) -> Image:
    """An image of `image` and the upper directory of a container that was made with `config` (Docker's).

    `changes` are Dockerfile instructions. Raises InvalidParameter, OSError; then nothing is registered.
    """
    names = [str(parse(reference).tagged())] if reference else []
    made = instructions.apply(merged(image.config, config), changes)
    store.prepare()
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        with io.BufferedReader(TreeTar(upper), CHUNK) as stream:
            layer = layers.unpack(stream, work, lowers=store.layer_dirs(image))
        diff_ids = [*image.document["rootfs"]["diff_ids"], layer.diff_id]
        chain = chain_ids(diff_ids, "host" if image.on_host else "")[-1]
        layers.keep(store, layer, chain)
        descriptor = store.content.put_json(_document(image, made, diff_ids, config, author, message), OCI_CONFIG)
        blobs: list[Descriptor] = []
        if image.manifest_digest:
            _, blobs = check_manifest(store.content.read_json(image.manifest_digest), f"image {image.id}")
        blobs.append(Descriptor(mediaType=OCI_LAYER, digest=layer.diff_id, size=layer.tar_size))
        return store.register(
            config=descriptor,
            manifest=store.content.put_json(manifest_of(descriptor, blobs), OCI_MANIFEST),
            layers=[*image.layers, chain],
            size=image.size + layer.size,
            references=names,
            on_host=image.on_host,
        )


def merged(image: Mapping[str, Any], container: Mapping[str, Any]) -> dict[str, Any]:
    """An image's configuration with what a container of it was given; empty values say nothing."""
    found: dict[str, Any] = json.loads(json.dumps(dict(image)))
    env = dict(item.partition("=")[::2] for item in found.get("Env") or ())
    env.update(item.partition("=")[::2] for item in container.get("Env") or ())
    if env:
        found["Env"] = [f"{name}={value}" for name, value in env.items()]
    for key in _MERGED:
        both = {**(found.get(key) or {}), **(container.get(key) or {})}
        if both:
            found[key] = both
    found.update({key: container[key] for key in _REPLACED if container.get(key)})
    return found


def _document(
    image: Image, config: dict[str, Any], diff_ids: list[str], container: Mapping[str, Any], author: str, message: str
) -> dict[str, Any]:
    created = now()
    words = [*(container.get("Entrypoint") or ()), *(container.get("Cmd") or ())]
    entry = {"created": created, "created_by": " ".join(words)}
    entry |= {key: value for key, value in (("author", author), ("comment", message)) if value}
    document = {key: value for key, value in image.document.items() if key in ("architecture", "os", "variant")}
    return {
        **document,
        **({"author": author} if author else {}),
        "created": created,
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [*(image.document.get("history") or ()), entry],
    }

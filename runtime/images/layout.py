"""Images in OCI layout directories: take one into the store, write one out.

What a layout says is checked like a registry's word: digests and sizes of all blobs, and the configuration.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, NotFound
from runtime.images import indexes, layers
from runtime.images.manifest import (
    MAX_DOCUMENT,
    OCI_INDEX,
    OCI_MANIFEST,
    check_config,
    check_descriptor,
    check_manifest,
    decode,
    encode,
    is_index,
    select_platform,
)
from runtime.images.reference import check_digest
from runtime.linux import atomicfile

if TYPE_CHECKING:
    from runtime.images.manifest import Descriptor
    from runtime.images.records import Image
    from runtime.images.store import ImageStore

REF_NAME: Final = "org.opencontainers.image.ref.name"
_CHUNK: Final = 1 << 20
_MOST: Final = 1000
"""Images in a layout that is read as a whole."""


def read(store: ImageStore, work: str, path: str, *, tag: str = "", digest: str = "", architecture: str = "") -> Image:
    """The image `tag` or `digest` of the layout directory `path`, or its only one, taken into the store without a name.

    `work` is a workspace. Raises NotFound, InvalidParameter, OSError.
    """
    chosen = _choose(decode(_small(f"{path}/index.json"), path), path, tag, digest)
    manifest = decode(_blob(path, chosen["digest"]), f"{path}: manifest")
    for _ in range(2):  # an index may point at another one
        if not is_index(manifest, path):
            break
        chosen = select_platform(manifest, path, architecture)
        manifest = decode(_blob(path, chosen["digest"]), f"{path}: manifest")
    return _take(store, work, path, chosen, manifest)


def write(store: ImageStore, image: Image, path: str, tag: str, index: str = "") -> None:
    """Write an image of the store, or all images of the index `index`, to the layout directory `path` under `tag`.

    It takes the place of what is there. Raises EngineError, OSError.
    """
    os.makedirs(f"{path}/blobs/sha256", exist_ok=True)
    for each in [each for _, each in indexes.images(store.content, image, index)] if index else [image]:
        _write_one(store, each, path)
    top = index or image.manifest_digest
    data = store.content.read(top)
    atomicfile.write_bytes(_place(path, top), data, mode=0o644)
    kind = OCI_INDEX if index else OCI_MANIFEST
    entry: dict[str, Any] = {"mediaType": kind, "digest": top, "size": len(data), "annotations": {REF_NAME: tag}}
    atomicfile.write_bytes(f"{path}/oci-layout", b'{"imageLayoutVersion":"1.0.0"}', mode=0o644)
    atomicfile.write_bytes(f"{path}/index.json", encode(indexes.document([entry])), mode=0o644)


def _write_one(store: ImageStore, image: Image, path: str) -> None:
    config, blobs = check_manifest(store.content.read_json(image.manifest_digest), f"image {image.id}")
    for blob, chain in zip(blobs, image.layers, strict=True):
        target = _place(path, blob["digest"])
        if os.path.exists(target):
            continue
        temporary = f"{target}.tmp-{os.getpid()}"
        with layers.open_layer(store, blob, chain) as source, open(temporary, "wb") as file:
            while data := source.read(_CHUNK):
                file.write(data)
        os.rename(temporary, target)
    for digest in (config["digest"], image.manifest_digest):
        atomicfile.write_bytes(_place(path, digest), store.content.read(digest), mode=0o644)


def read_all(store: ImageStore, work: str, path: str) -> list[Image]:
    """All images that the layout's index.json leads to, each taken into the store without a name; raises as read does."""
    found = []
    pending = _entries(decode(_small(f"{path}/index.json"), path))
    while pending:
        described = check_descriptor(pending.pop(0), path)
        document = decode(_blob(path, described["digest"]), f"{path}: manifest")
        if is_index(document, path):
            pending += _entries(document)
            continue
        found.append(_take(store, work, path, described, document))
        if len(found) > _MOST:
            raise InvalidParameter(f"oci-layout {path}: has more than {_MOST} images")
    return found


def _take(store: ImageStore, work: str, path: str, chosen: Descriptor, manifest: dict[str, Any]) -> Image:
    config, blobs = check_manifest(manifest, path)
    document = decode(_blob(path, config["digest"]), f"{path}: configuration")
    diff_ids = check_config(document, path, len(blobs))
    for descriptor in (chosen, config, *blobs):
        with open(_place(path, descriptor["digest"]), "rb") as file:
            store.content.ingest(file, work, digest=descriptor["digest"], size=descriptor["size"])
    chains, size = layers.ensure(store, work, blobs, diff_ids)
    return store.register(config=config, manifest=chosen, layers=chains, size=size, references=[])


def _entries(index: dict[str, Any]) -> list[dict[str, Any]]:
    found = index.get("manifests")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _choose(index: dict[str, Any], path: str, tag: str, digest: str) -> Descriptor:
    entries = _entries(index)
    for entry in entries:
        name = str((entry.get("annotations") or {}).get(REF_NAME, ""))
        if (digest and entry.get("digest") == digest) or (tag and (name == tag or name.endswith(f":{tag}"))):
            return check_descriptor(entry, path)
    if len(entries) == 1 and not digest and tag in ("", "latest"):
        return check_descriptor(entries[0], path)
    raise NotFound(f"oci-layout {path}: has no image {digest or tag}")


def _place(path: str, digest: str) -> str:
    algorithm, _, value = check_digest(digest).partition(":")
    return f"{path}/blobs/{algorithm}/{value}"


def _blob(path: str, digest: str) -> bytes:
    return _small(_place(path, digest))


def _small(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_DOCUMENT + 1)
    except FileNotFoundError as error:
        raise NotFound(f"oci-layout: {path} does not exist", path=path) from error
    if len(data) > MAX_DOCUMENT:
        raise InvalidParameter(f"oci-layout: {path}: larger than {MAX_DOCUMENT} bytes")
    return data

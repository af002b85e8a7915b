"""Write images as one tar that is both an OCI image layout and what `docker load` reads (index.json, manifest.json)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, Protocol

from runtime.errors import InvalidParameter, NotSupported, SystemFailure
from runtime.images import indexes, layers, workspace
from runtime.images.content import Hashing
from runtime.images.manifest import MAX_DOCUMENT, OCI_INDEX, OCI_MANIFEST, check_manifest, encode
from runtime.images.reference import parse
from runtime.images.tarheader import plain_header
from runtime.images.tarstream import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.images.layers import Progress
    from runtime.images.manifest import Descriptor
    from runtime.images.records import Image
    from runtime.images.store import ImageStore

_CHUNK: Final = 1 << 20


class Writable(Protocol):
    """Where an archive goes."""

    def write(self, data: bytes, /) -> object: ...


def save_images(store: ImageStore, names: Sequence[str], output: str, *, progress: Progress | None = None) -> list[str]:
    """Write the images `names` to the file `output`, which appears only when complete; see write_images."""
    temporary = f"{output}.tmp-{os.getpid()}"
    try:
        with open(temporary, "xb") as file:
            ids = write_images(store, names, file, progress=progress)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, output)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return ids


def write_images(
    store: ImageStore, names: Sequence[str], file: Writable, *, progress: Progress | None = None
) -> list[str]:
    """Write the images `names` (references, ids; a name without a tag stands for all its tags); the ids written.

    Raises NotFound, NotSupported (an image on this machine's own programs), SystemFailure (a damaged layer), OSError;
    nothing is written before every name was found.
    """
    with workspace.lease(store.root):
        chosen = _chosen(store, names)
        writer = _Writer(store, file, progress)
        for image, tags in chosen.values():
            writer.image(image, tags)
        writer.finish()
    return list(chosen)


def _chosen(store: ImageStore, names: Sequence[str]) -> dict[str, tuple[Image, list[str]]]:
    chosen: dict[str, tuple[Image, list[str]]] = {}
    images = store.list()
    for name in names:
        for image, tag in _named(store, images, name):
            if image.on_host:
                raise NotSupported(f"image {name}: holds this machine's own programs and cannot be saved")
            tags = chosen.setdefault(image.id, (image, []))[1]
            if tag and tag not in tags:
                tags.append(tag)
    return chosen


def _named(store: ImageStore, images: Sequence[Image], name: str) -> list[tuple[Image, str]]:
    """The images that `name` stands for, each with the tag to write."""
    try:
        reference = parse(name)
    except InvalidParameter:
        return [(store.resolve(name), "")]
    if not reference.tag and not reference.digest:
        tagged = [(image, tag) for image in images for tag in image.references if parse(tag).name == reference.name]
        if tagged:
            return sorted(tagged, key=lambda pair: pair[1])
    image = store.resolve(name)
    tag = str(reference.tagged())
    return [(image, tag if tag in image.references else "")]


class _Writer:
    def __init__(self, store: ImageStore, file: Writable, progress: Progress | None) -> None:
        self._store = store
        self._file = file
        self._size = 0
        self._progress = progress
        self._written: set[str] = set()
        self._index: list[dict[str, Any]] = []
        self._docker: list[dict[str, Any]] = []

    def image(self, image: Image, tags: list[str]) -> None:
        manifest = self._store.content.read(image.manifest_digest)
        config, blobs = self._blobs(image)
        entry = {"mediaType": OCI_MANIFEST, "digest": image.manifest_digest, "size": len(manifest)}
        for tag in tags:
            named = {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": parse(tag).tag}
            index = image.indexes.get(tag, "")
            self._index.append((self._of_platforms(image, index) if index else entry) | {"annotations": named})
        if not tags:
            self._index.append(entry)
        self._docker.append(
            {
                "Config": _blob_name(config["digest"]),
                "RepoTags": [parse(tag).familiar for tag in tags] or None,
                "Layers": [_blob_name(blob["digest"]) for blob in blobs],
            }
        )

    def _of_platforms(self, image: Image, index: str) -> dict[str, Any]:
        """Write all that an index lists; its descriptor."""
        content = self._store.content
        for _, each in indexes.images(content, image, index):
            self._blobs(each)
        data = content.read(index)
        self._document(index, data)
        return {"mediaType": OCI_INDEX, "digest": index, "size": len(data)}

    def _blobs(self, image: Image) -> tuple[Descriptor, list[Descriptor]]:
        """Write layers, configuration and manifest of an image; the descriptors of its configuration and its layers."""
        content = self._store.content
        manifest = content.read(image.manifest_digest)
        config, blobs = check_manifest(content.read_json(image.manifest_digest), f"image {image.id}")
        for number, (blob, chain) in enumerate(zip(blobs, image.layers, strict=True), 1):
            if self._progress is not None:
                self._progress(f"saving layer {number} of {len(blobs)}", self._size, 0)
            self._layer(blob, chain)
        self._document(config["digest"], content.read(config["digest"]))
        self._document(image.manifest_digest, manifest)
        return config, blobs

    def finish(self) -> None:
        self._member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self._member("index.json", encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self._index}))
        self._member("manifest.json", encode(self._docker))
        self._write(bytes(2 * BLOCK))

    def _layer(self, blob: Descriptor, chain: str) -> None:
        if blob["digest"] in self._written:
            return
        self._written.add(blob["digest"])
        self._write(plain_header(_blob_name(blob["digest"]).encode(), blob["size"]))
        with layers.open_layer(self._store, blob, chain) as source:
            hashing = Hashing(source)
            while data := hashing.read(_CHUNK):
                self._write(data)
        if (hashing.digest, hashing.size) != (blob["digest"], blob["size"]):
            raise SystemFailure(f"layer {blob['digest']}: damaged on disk, it now reads as {hashing.digest}")
        self._write(bytes(-blob["size"] % BLOCK))

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._size += len(data)

    def _document(self, digest: str, data: bytes) -> None:
        if digest not in self._written:
            self._written.add(digest)
            self._member(_blob_name(digest), data)

    def _member(self, name: str, data: bytes) -> None:
        if len(data) > MAX_DOCUMENT:
            raise SystemFailure(f"{name}: {len(data)} bytes are more than {MAX_DOCUMENT}")
        self._write(plain_header(name.encode(), len(data)) + data + bytes(-len(data) % BLOCK))


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"

"""Write images as one tar that is both an OCI image layout and what `docker load` reads (index.json, manifest.json)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from runtime.errors import InvalidParameter, NotSupported, SystemFailure
from runtime.images import layers, workspace
from runtime.images.content import Hashing
from runtime.images.layertar import plain_header
from runtime.images.manifest import MAX_DOCUMENT, OCI_INDEX, OCI_MANIFEST, check_manifest, encode
from runtime.images.reference import parse
from runtime.images.tarstream import BLOCK

if TYPE_CHECKING:
    from collections.abc import Sequence

    from runtime.images.layers import Progress
    from runtime.images.manifest import Descriptor
    from runtime.images.records import Image
    from runtime.images.store import ImageStore

_CHUNK: Final = 1 << 20


def save_images(store: ImageStore, names: Sequence[str], output: str, *, progress: Progress | None = None) -> list[str]:
    """Write the images `names` to the file `output`, which appears only when complete; the ids written.

    Raises NotFound, NotSupported (an image on this machine's own programs), SystemFailure (a damaged layer), OSError.
    """
    chosen: dict[str, tuple[Image, list[str]]] = {}
    for name in names:
        image = store.resolve(name)
        if image.on_host:
            raise NotSupported(f"image {name}: holds this machine's own programs and cannot be saved")
        tags = chosen.setdefault(image.id, (image, []))[1]
        tags += [tag for tag in _asked_for(name, image) if tag not in tags]
    temporary = f"{output}.tmp-{os.getpid()}"
    try:
        with workspace.lease(store.root), open(temporary, "xb") as file:
            writer = _Writer(store, file, progress)
            for image, tags in chosen.values():
                writer.image(image, tags)
            writer.finish()
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, output)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return list(chosen)


def _asked_for(name: str, image: Image) -> list[str]:
    try:
        reference = str(parse(name).tagged())
    except InvalidParameter:
        return []
    return [reference] if reference in image.references else []


class _Writer:
    def __init__(self, store: ImageStore, file: BinaryIO, progress: Progress | None) -> None:
        self._store = store
        self._file = file
        self._progress = progress
        self._written: set[str] = set()
        self._index: list[dict[str, Any]] = []
        self._docker: list[dict[str, Any]] = []

    def image(self, image: Image, tags: list[str]) -> None:
        content = self._store.content
        manifest = content.read(image.manifest_digest)
        config, blobs = check_manifest(content.read_json(image.manifest_digest), f"image {image.id}")
        for number, (blob, chain) in enumerate(zip(blobs, image.layers, strict=True), 1):
            if self._progress is not None:
                self._progress(f"saving layer {number} of {len(blobs)}", self._file.tell(), 0)
            self._layer(blob, chain)
        self._document(config["digest"], content.read(config["digest"]))
        self._document(image.manifest_digest, manifest)
        entry = {"mediaType": OCI_MANIFEST, "digest": image.manifest_digest, "size": len(manifest)}
        for tag in tags or [""]:
            named = {"io.containerd.image.name": tag, "org.opencontainers.image.ref.name": tag}
            self._index.append(entry | ({"annotations": named} if tag else {}))
        self._docker.append(
            {
                "Config": _blob_name(config["digest"]),
                "RepoTags": [parse(tag).familiar for tag in tags] or None,
                "Layers": [_blob_name(blob["digest"]) for blob in blobs],
            }
        )

    def finish(self) -> None:
        self._member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        self._member("index.json", encode({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": self._index}))
        self._member("manifest.json", encode(self._docker))
        self._file.write(bytes(2 * BLOCK))

    def _layer(self, blob: Descriptor, chain: str) -> None:
        if blob["digest"] in self._written:
            return
        self._written.add(blob["digest"])
        self._file.write(plain_header(_blob_name(blob["digest"]).encode(), blob["size"]))
        with layers.open_layer(self._store, blob, chain) as source:
            hashing = Hashing(source)
            while data := hashing.read(_CHUNK):
                self._file.write(data)
        if (hashing.digest, hashing.size) != (blob["digest"], blob["size"]):
            raise SystemFailure(f"layer {blob['digest']}: damaged on disk, it now reads as {hashing.digest}")
        self._file.write(bytes(-blob["size"] % BLOCK))

    def _document(self, digest: str, data: bytes) -> None:
        if digest not in self._written:
            self._written.add(digest)
            self._member(_blob_name(digest), data)

    def _member(self, name: str, data: bytes) -> None:
        if len(data) > MAX_DOCUMENT:
            raise SystemFailure(f"{name}: {len(data)} bytes are more than {MAX_DOCUMENT}")
        self._file.write(plain_header(name.encode(), len(data)) + data + bytes(-len(data) % BLOCK))


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"

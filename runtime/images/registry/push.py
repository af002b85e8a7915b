"""Push an image: what its registry has already is not sent, what another repository there has is mounted from it.

A layer that was never compressed (imported, loaded, built here) is compressed for the first push; the image then has
the manifest that was pushed, so that every further push sends the same bytes.
"""

from __future__ import annotations

import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import EngineError, NotFound, NotSupported, SystemFailure
from runtime.images import indexes, layers, workspace
from runtime.images.archive import manifest_of
from runtime.images.compression import CHUNK, decompressed
from runtime.images.content import Hashing
from runtime.images.manifest import LAYER_TYPES, OCI_MANIFEST, Descriptor, check_config, check_manifest
from runtime.images.reference import parse
from runtime.images.registry.hosts import endpoints
from runtime.images.registry.pull import make_transport
from runtime.images.registry.session import Session
from runtime.images.registry.upload import Upload

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.images.records import Image
    from runtime.images.reference import Reference
    from runtime.images.store import ImageStore
    from runtime.wire.registries import Access

    Progress = Callable[[str, str, int, int], None]

PARALLEL: Final = 4
"""Uploads at a time."""
_LEVEL: Final = 6
_PACKED: Final = (".gzip", "+gzip", "+zstd")


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """`size`: bytes of the manifest."""

    digest: str
    size: int


def push_image(store: ImageStore, reference: Reference, access: Access, *, progress: Progress) -> Pushed:
    """Push the image called `reference` to the registry in that name; raises EngineError, OSError.

    `progress(layer, text, current, total)`: the layer by its uncompressed digest, as Docker shows it.
    """
    store.prepare()
    image = _image(store, reference)
    transport = make_transport(access)
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        try:
            return _Push(store, work, image, reference, access, progress, transport).run()
        finally:
            transport.close()


def _image(store: ImageStore, reference: Reference) -> Image:
    try:
        image = store.resolve(str(reference))
    except NotFound as error:
        raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}") from error
    if image.on_host:
        raise NotSupported(f"image {reference.familiar}: holds this machine's own programs and cannot be pushed")
    return image


class _Push:
    def __init__(
        self,
        store: ImageStore,
        work: str,
        image: Image,
        reference: Reference,
        access: Access,
        progress: Progress,
        transport: Any,
    ) -> None:
        self._store = store
        self._work = work
        self._image = image
        self._reference = reference
        self._progress = progress
        self._name = reference.familiar
        [endpoint] = endpoints(reference, access.get("registries", {}), push=True)
        self._sources = _sources(store, reference)
        every = sorted({path for paths in self._sources.values() for path in paths})
        credentials = access.get("auth", {}).get(endpoint.name, {})
        self._upload = Upload(Session(endpoint, reference, credentials, transport, push=True, sources=every))

    def run(self) -> Pushed:
        image, name = self._image, self._reference.tag or self._reference.digest or "latest"
        index = image.indexes.get(str(self._reference), "")
        if index:
            return self._index(index, name)
        manifest = self._one(image)
        self._put_manifest(manifest, name)
        self._remember(image, manifest, "", manifest["digest"])
        return Pushed(digest=manifest["digest"], size=manifest["size"])

    def _index(self, digest: str, name: str) -> Pushed:
        """Push what an index lists, each by its digest, and the index under the name."""
        content, image = self._store.content, self._image
        sent: dict[str, Descriptor] = {}
        mine = Descriptor()
        for member, each in indexes.images(content, image, digest):
            manifest = self._one(each)
            self._put_manifest(manifest, manifest["digest"])
            sent[member.manifest["digest"]] = manifest
            mine = manifest if each.id == image.id else mine
        entries = [
            member.described | dict(sent.get(member.manifest["digest"], ()))
            for member in indexes.members(content, digest)
        ]
        index = indexes.put(content, entries)
        self._put_manifest(index, name)
        if mine:
            self._remember(image, mine, index["digest"], index["digest"])
        self._store.reindex(image.id, digest, index["digest"])
        return Pushed(digest=index["digest"], size=index["size"])

    def _remember(self, image: Image, manifest: Descriptor, index: str, digest: str) -> None:
        """Note what the registry has now: by what name, and packed how."""
        [config, *_] = check_manifest(self._store.content.read_json(manifest["digest"]), f"image {self._name}")
        self._store.register(
            config=config,
            manifest=manifest,
            layers=list(image.layers),
            size=image.size,
            references=[f"{self._reference.name}@{digest}"],
            on_host=image.on_host,
            index=index,
        )

    def _one(self, image: Image) -> Descriptor:
        """See to it that the registry has layers and configuration of an image; its manifest, in the content store."""
        content = self._store.content
        document = content.read_json(image.manifest_digest, f"image {self._name}")
        config, blobs = check_manifest(document, f"image {self._name}")
        diff_ids = check_config(image.document, f"image {self._name}", len(blobs))
        for diff_id in diff_ids:
            self._progress(_short(diff_id), "Preparing", 0, 0)
        with ThreadPoolExecutor(PARALLEL, "upload") as threads:
            jobs = [
                threads.submit(self._layer, blob, diff_id, chain)
                for blob, diff_id, chain in zip(blobs, diff_ids, image.layers, strict=True)
            ]
            try:
                sent = [job.result() for job in jobs]
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                raise
        if not self._upload.has(config["digest"]):
            self._upload.blob(config, lambda: _Counted(content.path(config["digest"]), lambda _position: None))
        if [blob["digest"] for blob in sent] != [blob["digest"] for blob in blobs]:
            return content.put_json(manifest_of(config, sent), OCI_MANIFEST)
        return Descriptor(
            mediaType=str(document.get("mediaType") or OCI_MANIFEST),
            digest=image.manifest_digest,
            size=os.path.getsize(content.path(image.manifest_digest)),
        )

    def _layer(self, blob: Descriptor, diff_id: str, chain: str) -> Descriptor:
        """See to it that the registry has a layer; the descriptor under which it has it."""
        short = _short(diff_id)
        if not self._store.content.has(blob["digest"]) or not blob["mediaType"].endswith(_PACKED):
            blob = self._packed(blob, diff_id, chain)
        if self._upload.has(blob["digest"]):
            self._progress(short, "Layer already exists", 0, 0)
            return blob
        size = blob["size"]

        def source() -> _Counted:
            path = self._store.content.path(blob["digest"])
            return _Counted(path, lambda position: self._progress(short, "Pushing", position, size))

        mounted = self._upload.blob(blob, source, self._sources.get(blob["digest"], ()))
        self._progress(short, f"Mounted from {mounted}" if mounted else "Pushed", 0, 0)
        return blob

    def _packed(self, blob: Descriptor, diff_id: str, chain: str) -> Descriptor:
        """The layer compressed, in the content store; the same bytes each time. Raises SystemFailure if it is damaged."""
        path = f"{self._work}/packed-{os.urandom(6).hex()}"
        with layers.open_layer(self._store, blob, chain) as source, open(path, "wb") as out:
            plain, _ = decompressed(source)
            hashing = Hashing(plain)
            packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
            while data := hashing.read(CHUNK):
                out.write(packer.compress(data))
                self._progress(_short(diff_id), "Compressing", hashing.size, 0)
            out.write(packer.flush())
        if hashing.digest != diff_id:
            raise SystemFailure(f"layer {diff_id}: damaged on disk, it now reads as {hashing.digest}")
        with open(path, "rb") as file:
            done = self._store.content.ingest(file, self._work)
        os.unlink(path)
        return Descriptor(mediaType=LAYER_TYPES["gzip"], digest=done["digest"], size=done["size"])

    def _put_manifest(self, manifest: Descriptor, name: str) -> None:
        self._upload.manifest(self._store.content.read(manifest["digest"]), manifest["mediaType"], name)


class _Counted:
    """A file to send that tells how far it is."""

    def __init__(self, path: str, tell: Callable[[int], None]) -> None:
        self._file = open(path, "rb")  # noqa: SIM115 - closed at its end, or with the last reference to it
        self._tell = tell

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._tell(self._file.tell())
        if not data:
            self._file.close()
        return data


def _sources(store: ImageStore, target: Reference) -> dict[str, list[str]]:
    """Digests of blobs to the repositories of the target's registry that have them, as far as known here."""
    found: dict[str, list[str]] = {}
    for image in store.list():
        references = [parse(name) for name in image.references if "@" in name]
        paths = sorted({each.path for each in references if each.domain == target.domain} - {target.path})
        if not paths or not image.manifest_digest:
            continue
        try:
            digests = store.blobs_of(image)
        except EngineError:
            continue
        for digest in digests:
            found.setdefault(digest, []).extend(paths)
    return found


def _short(diff_id: str) -> str:
    return diff_id.partition(":")[2][:12]

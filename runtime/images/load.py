"""Read images from an archive in `docker save` form or OCI layout form, or from a layout directory.

The lists that say what the members are may come last, so members are put on disk first: blobs under their digest,
everything else in the workspace. Nothing of the archive's names is used as a path.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import EngineError, InvalidParameter, NotFound
from runtime.images import layers, workspace
from runtime.images.archive import manifest_of
from runtime.images.compression import CHUNK, LONGEST_MAGIC, Counted, decompressed, detect
from runtime.images.confined import components
from runtime.images.manifest import (
    LAYER_TYPES,
    MAX_DOCUMENT,
    OCI_CONFIG,
    OCI_MANIFEST,
    Descriptor,
    check_config,
    check_descriptor,
    check_manifest,
    decode,
    is_index,
    select_platform,
)
from runtime.images.reference import parse
from runtime.images.tarstream import TarReader, shown
from runtime.linux import atomicfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.images.compression import Readable
    from runtime.images.layers import Progress
    from runtime.images.records import Image
    from runtime.images.store import ImageStore

_BLOB: Final = re.compile(r"blobs/sha256/([a-f0-9]{64})")
_MAX_MEMBERS: Final = 20_000
_MAX_IMAGES: Final = 1000
_NAME_ANNOTATIONS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")


class Loaded(NamedTuple):
    """One image of an archive, as soon as it is in the store."""

    image: Image
    references: list[str]
    """The names that the archive gives it."""
    replaced: dict[str, str]
    """Which of those another image had until now: reference to its id."""


def load_images(
    store: ImageStore,
    source: str,
    *,
    stream: Readable | None = None,
    total: int = 0,
    progress: Progress | None = None,
    tell: Callable[[Loaded], None] | None = None,
) -> list[Image]:
    """Load every image of the archive or layout directory `source`; those loaded, in its order.

    With `stream` the archive is read from there to its end, `source` is what messages call it and `total` its size in
    bytes (0: unknown). Raises NotFound, InvalidParameter, OSError. Images before the one that failed stay loaded.
    """
    store.prepare()
    if stream is None and not os.path.exists(source):
        raise NotFound(f"load source {source}: no such file or directory", path=source)
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        loader = _Loader(store, work, source, progress, tell)
        if stream is not None:
            loader.read_archive(stream, total)
        elif os.path.isdir(source):
            loader.read_directory()
        else:
            with open(source, "rb") as file:
                loader.read_archive(file, os.fstat(file.fileno()).st_size)
        return loader.images()


class _Loader:
    def __init__(
        self,
        store: ImageStore,
        work: str,
        source: str,
        progress: Progress | None,
        tell: Callable[[Loaded], None] | None,
    ) -> None:
        self._store = store
        self._work = work
        self._source = source
        self._progress = progress
        self._tell = tell
        self._files: dict[str, str] = {}
        """Member name to the path of its content."""
        self._links: dict[str, str] = {}

    def read_archive(self, source: Readable, total: int) -> None:
        counted = Counted(source)
        plain, _ = decompressed(counted)
        reader = TarReader(plain)
        for entry in reader:
            name = _member_name(entry.name)
            if len(self._files) + len(self._links) > _MAX_MEMBERS:
                raise InvalidParameter(f"archive {self._source}: more than {_MAX_MEMBERS} members")
            if entry.kind == "file":
                self._files[name] = self._keep(name, reader, entry.size)
            elif entry.kind in ("symlink", "hardlink"):
                directory = os.path.dirname(name) if entry.kind == "symlink" else ""
                target = os.path.normpath(os.path.join(directory, os.fsdecode(entry.link)))
                self._links[name] = target
            if self._progress is not None:
                self._progress("reading", counted.size, total)
        # padding behind the archive: whoever writes it shall not meet a closed pipe
        while counted.read(CHUNK):
            pass

    def read_directory(self) -> None:
        for folder, _, names in os.walk(self._source):
            for name in names:
                path = os.path.join(folder, name)
                member = os.path.relpath(path, self._source)
                if os.path.islink(path) or not os.path.isfile(path):
                    continue
                match = _BLOB.fullmatch(member)
                if match is None:
                    self._files[member] = path
                    continue
                digest = f"sha256:{match[1]}"
                if not self._store.content.has(digest):
                    with open(path, "rb") as file:
                        self._store.content.ingest(file, self._work, digest=digest)
                self._files[member] = self._store.content.path(digest)

    def images(self) -> list[Image]:
        if "manifest.json" in self._files:
            listed = self._json("manifest.json")
            if not isinstance(listed, list) or len(listed) > _MAX_IMAGES:
                raise InvalidParameter(f"archive {self._source}: manifest.json: invalid")
            return [self._docker_image(entry) for entry in listed]
        if "index.json" in self._files:
            return self._layout_images()
        raise InvalidParameter(
            f"archive {self._source}: neither manifest.json nor index.json in it (a root file system is imported, not loaded)"
        )

    def _keep(self, name: str, reader: TarReader, size: int) -> str:
        match = _BLOB.fullmatch(name)
        if match is not None:
            digest = f"sha256:{match[1]}"
            self._store.content.ingest(reader, self._work, digest=digest, size=size)
            return self._store.content.path(digest)
        path = f"{self._work}/member-{len(self._files)}"
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            while data := reader.read():
                atomicfile.write_all(fd, data)
        finally:
            os.close(fd)
        return path

    def _docker_image(self, entry: Any) -> Image:
        """One entry of docker save's manifest.json; its layers are known by file name only."""
        what = f"archive {self._source}"
        names = entry.get("Layers") if isinstance(entry, dict) else None
        if not isinstance(names, list) or not isinstance(entry.get("Config"), str):
            raise InvalidParameter(f"{what}: manifest.json: invalid")
        config = self._document(entry["Config"])
        document = decode(config, f"{what}: {entry['Config']}")
        diff_ids = check_config(document, what, len(names))
        blobs = [self._layer_blob(str(name), diff_id) for name, diff_id in zip(names, diff_ids, strict=True)]
        descriptor = self._store.content.put(config, OCI_CONFIG)
        manifest = self._store.content.put_json(manifest_of(descriptor, blobs), OCI_MANIFEST)
        tags = entry.get("RepoTags") or []
        references = [str(parse(str(tag)).tagged()) for tag in tags] if isinstance(tags, list) else []
        return self._register(descriptor, manifest, blobs, diff_ids, references)

    def _layer_blob(self, name: str, diff_id: str) -> Descriptor:
        path = self._path(name)
        content = self._store.content
        match = _BLOB.fullmatch(name)
        with open(path, "rb") as file:
            compression = detect(file.read(LONGEST_MAGIC))
            file.seek(0)
            if match is not None:
                digest, size = f"sha256:{match[1]}", os.fstat(file.fileno()).st_size
            elif not compression and content.has(diff_id):
                digest, size = diff_id, os.path.getsize(content.path(diff_id))
            else:
                done = content.ingest(file, self._work)
                digest, size = done["digest"], done["size"]
        return Descriptor(mediaType=LAYER_TYPES[compression], digest=digest, size=size)

    def _layout_images(self) -> list[Image]:
        what = f"archive {self._source}: index.json"
        index = self._json("index.json")
        entries = index.get("manifests") if isinstance(index, dict) else None
        if not isinstance(entries, list) or len(entries) > _MAX_IMAGES:
            raise InvalidParameter(f"{what}: invalid")
        found: dict[str, Image] = {}
        for entry in entries:
            descriptor = check_descriptor(entry, what)
            image = self._layout_image(descriptor, _references(entry))
            found[image.id] = image
        return list(found.values())

    def _layout_image(self, descriptor: Descriptor, references: list[str], depth: int = 0) -> Image:
        content, what = self._store.content, f"manifest {descriptor['digest']}"
        document = content.read_json(descriptor["digest"], what)
        if is_index(document, what):
            if depth > 2:
                raise InvalidParameter(f"{what}: indexes are nested too deeply")
            return self._layout_image(select_platform(document, what), references, depth + 1)
        config, blobs = check_manifest(document, what)
        diff_ids = check_config(content.read_json(config["digest"]), what, len(blobs))
        for blob in blobs:
            if content.has(blob["digest"]) and os.path.getsize(content.path(blob["digest"])) != blob["size"]:
                raise InvalidParameter(
                    f"layer {blob['digest']}: size is not {blob['size']} bytes, as the manifest says"
                )
        return self._register(config, descriptor, blobs, diff_ids, references)

    def _register(
        self,
        config: Descriptor,
        manifest: Descriptor,
        blobs: list[Descriptor],
        diff_ids: list[str],
        references: list[str],
    ) -> Image:
        chains, size = layers.ensure(self._store, self._work, blobs, diff_ids, progress=self._progress)
        owners = {reference: image.id for image in self._store.list() for reference in image.references}
        image = self._store.register(config=config, manifest=manifest, layers=chains, size=size, references=references)
        if self._tell is not None:
            replaced = {name: owners[name] for name in references if owners.get(name, image.id) != image.id}
            self._tell(Loaded(image, references, replaced))
        return image

    def _path(self, name: str) -> str:
        clean = _member_name(os.fsencode(name))
        for _ in range(8):
            if clean in self._files:
                return self._files[clean]
            if clean not in self._links:
                break
            clean = self._links[clean]
        raise InvalidParameter(f'archive {self._source}: member "{shown(os.fsencode(name))}" is missing')

    def _document(self, name: str) -> bytes:
        with open(self._path(name), "rb") as file:
            data = file.read(MAX_DOCUMENT + 1)
        if len(data) > MAX_DOCUMENT:
            raise InvalidParameter(f"archive {self._source}: {name}: larger than {MAX_DOCUMENT} bytes")
        return data

    def _json(self, name: str) -> Any:
        # manifest.json is a list: inside an object it passes the same checks
        return decode(b'{"value":' + self._document(name) + b"}", f"archive {self._source}: {name}")["value"]


def _member_name(name: bytes) -> str:
    return os.fsdecode(b"/".join(components(name, "member name")))


def _references(entry: dict[str, Any]) -> list[str]:
    """Names in a layout's annotations; a bare tag without a repository is none."""
    annotations = entry.get("annotations")
    if not isinstance(annotations, dict):
        return []
    for key in _NAME_ANNOTATIONS:
        text = str(annotations.get(key) or "")
        if "/" not in text and ":" not in text:
            continue
        try:
            return [str(parse(text).tagged())]
        except EngineError:
            continue
    return []

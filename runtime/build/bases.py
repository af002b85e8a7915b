"""The images that stages start from or copy from: found in the store, pulled when missing, unpacked once."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, cast

from runtime.build.session import key_of
from runtime.build.snapshots import Snapshot
from runtime.errors import EngineError, InvalidParameter, NotFound
from runtime.images import hostlayer, indexes, layers, layout
from runtime.images import platform as platforms
from runtime.images.hostcopy import ensure_host_layer
from runtime.images.manifest import check_manifest
from runtime.images.reference import parse
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.build.dockerfile.contextref import OciLayout
    from runtime.build.dockerfile.stages import StageGraph
    from runtime.build.progress import Vertex
    from runtime.build.session import Session
    from runtime.images.platform import Platform
    from runtime.images.records import Image
    from runtime.wire.registries import Access

_PROGRAMS = ("/usr/bin", "/usr/lib", "/usr/sbin", "/usr/local/bin", "/usr/local/lib", "/var/lib/dpkg/status")


STEPS = "io.pycompose.steps"
"""In an image's configuration: the cache key of the step behind each layer, empty for those of the base."""


class Bases:
    """The images of one build, each looked up once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._images: dict[tuple[str, str], Image] = {}
        self._many = len(session.request.platforms) > 1
        self._shown: set[str] = set()
        self._lock = threading.Lock()

    def image(self, name: str, platform: str, graph: StageGraph | None) -> Image:
        """The image of a reference; pulled if it is not here, or if the request says to. Raises NotFound and its like."""
        with self._lock:
            found = self._images.get((name, platform))
            if found is None:
                label = f"{platforms.parse(platform)} " if self._many else ""
                vertex = self._session.progress.vertex(f"[{label}internal] load metadata for {shown(name)}")
                try:
                    found = self._images[name, platform] = self._find(name, platform, vertex)
                except EngineError as error:
                    hint = graph.near(name) if graph is not None else ""
                    vertex.failed(error.message + hint)
                    error.message = (
                        f"{name}: failed to resolve source metadata for {shown(name)}: {error.message}{hint}"
                    )
                    error.fields.setdefault("vertex", vertex.name)
                    raise
                vertex.done()
        return found

    def layout(self, reference: OciLayout, platform: str) -> Image:
        """The image in an OCI layout directory; it is taken into the store without a name."""
        session = self._session
        architecture = platforms.parse(platform).architecture
        with self._lock:
            return layout.read(
                session.store,
                session.work,
                reference.path,
                tag=reference.tag,
                digest=reference.digest,
                architecture=architecture,
            )

    def pulled(self, name: str, vertex: Vertex) -> list[Image]:
        """The images of a reference that is to be a cache: those that are here if they are one, else the registry's.

        An index has an image for each stage.
        """
        store = self._session.store
        try:
            found, named = store.find(name)
            index = found.indexes.get(str(named), "")
            if index:
                return [image for _, image in indexes.images(store.content, found, index)]
            if STEPS in found.document:
                return [found]
        except NotFound:
            pass
        try:
            return self._pull_all(name, vertex)
        except EngineError:
            return [store.resolve(name)]

    def _pull_all(self, name: str, vertex: Vertex) -> list[Image]:
        from runtime.images.registry.pull import Asked, entries

        platform = platforms.parse(self._session.request.platforms[0])
        access = cast("Access", dict(self._session.request.access))
        reference = parse(name).tagged()
        listed = entries(Asked(reference=reference, platform=platform, access=access))
        if not listed:
            return [self._pull(name, platform, vertex)]
        found = []
        for entry in listed:
            of = platforms.of_entry(entry)
            if of is not None:
                found.append(self._pull(f"{reference.name}@{entry['digest']}", of, vertex, named=False))
        return found

    def unpack_shown(self, image: Image | None, name: str) -> None:
        """As unpack, as a step of that name; an image that several stages start from is shown once."""
        if image is None or image.id in self._shown:
            return
        self._shown.add(image.id)
        vertex = self._session.progress.vertex(name)
        try:
            self.unpack(image)
        except EngineError as error:
            vertex.failed(error.message)
            raise
        vertex.cached()

    def unpack(self, image: Image) -> None:
        """Make sure that the layers of an image are unpacked. Raises InvalidParameter, OSError."""
        store = self._session.store
        with self._lock:
            if image.on_host:
                self._host_layer()
            if all(store.has_layer(chain) for chain in image.layers):
                return
            _, blobs = check_manifest(store.content.read_json(image.manifest_digest), f"image {image.id}")
            diff_ids = image.document["rootfs"]["diff_ids"]
            base = "host" if image.on_host else ""
            layers.ensure(store, self._session.work, blobs, diff_ids, base=base)

    def snapshot(self, image: Image) -> tuple[Snapshot, str]:
        """The state that an image is, and its cache key."""
        session = self._session
        diff_ids = image.document["rootfs"]["diff_ids"]
        found = []
        for chain, diff_id in zip(image.layers, diff_ids, strict=True):
            record = layers.record(session.store, chain)
            size, tar_size = int(record.get("size") or 0), int(record.get("tar_size") or 0)
            found.append(session.snapshots.stored(chain, diff_id, tar_size, size))
        if image.on_host:
            with self._lock:
                self._host_layer()
        host = [_stamp(path) for path in _PROGRAMS] if image.on_host else []
        return Snapshot(tuple(found), image.on_host), key_of("image", *diff_ids, "host", *host)

    def _find(self, name: str, platform: str, vertex: Vertex) -> Image:
        session = self._session
        request = session.request
        wanted = platforms.parse(platform)
        try:
            found = session.store.for_platform(name, wanted)
        except NotFound:
            found = None
        builtin = found is not None and found.id == hostlayer.image_id()
        if found is not None and (builtin or not request.pull or _same(name, request.present)):
            actual = platforms.of_config(found.document)
            if actual is None or platforms.runs(actual, wanted):
                return found
        if found is None and (not self._many or wanted == platforms.local()):
            return self._pull(name, wanted, vertex)
        # the name is another platform's here, or will be
        note = key_of("base", shown(name), str(wanted))
        try:
            if not request.pull:
                return session.store.resolve(session.cache.get_note(note))
        except (NotFound, InvalidParameter):
            pass
        pulled = self._pull(name, wanted, vertex, named=False)
        session.cache.put_note(note, pulled.id)
        return pulled

    def _pull(self, name: str, platform: Platform, vertex: Vertex, *, named: bool = True) -> Image:
        from runtime.images.registry.pull import Asked, pull_image

        session = self._session

        def progress(layer: str, text: str, current: int, total: int) -> None:
            session.check()
            if layer:
                vertex.status(f"{layer} {text} {current} / {total}" if total else f"{layer} {text}")

        asked = Asked(
            reference=parse(name).tagged(),
            platform=platform,
            named=named,
            access=cast("Access", dict(session.request.access)),
        )
        return pull_image(session.store, asked, progress=progress).image

    def _host_layer(self) -> None:
        snapshots = self._session.snapshots
        if not snapshots.host_layer:
            snapshots.host_layer = _host_layer(self._session)


def _host_layer(session: Session) -> str:
    """The directory of this machine's programs, mounted for this build or copied once where it cannot be."""
    if hostlayer.needs_copy():
        return ensure_host_layer(session.store)
    return hostlayer.mount(KERNEL, f"{session.memory}/host")


def _same(name: str, references: Iterable[str]) -> bool:
    """Whether a name is one of the references, whichever form either has."""
    return shown(name) in map(shown, references)


def shown(name: str) -> str:
    """A reference in full, as progress has it."""
    try:
        return str(parse(name).tagged())
    except InvalidParameter:
        return name


def _stamp(path: str) -> str:
    """Changes when a program is installed or removed."""
    try:
        return f"{path}@{os.stat(path).st_mtime_ns}"
    except OSError:
        return path

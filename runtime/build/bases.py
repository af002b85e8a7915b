"""The images that stages start from or copy from: found in the store, pulled when missing, unpacked once."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from runtime.build.session import key_of
from runtime.build.snapshots import Snapshot
from runtime.errors import EngineError, InvalidParameter, NotFound
from runtime.images import hostlayer, layers, layout
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
    from runtime.images.records import Image

_PROGRAMS = ("/usr/bin", "/usr/lib", "/usr/sbin", "/usr/local/bin", "/usr/local/lib", "/var/lib/dpkg/status")


STEPS = "io.pycompose.steps"
"""In an image's configuration: the cache key of the step behind each layer, empty for those of the base."""


class Bases:
    """The images of one build, each looked up once."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._images: dict[tuple[str, str], Image] = {}
        self._shown: set[str] = set()
        self._lock = threading.Lock()

    def image(self, name: str, platform: str, graph: StageGraph | None) -> Image:
        """The image of a reference; pulled if it is not here, or if the request says to. Raises NotFound and its like."""
        with self._lock:
            found = self._images.get((name, platform))
            if found is None:
                vertex = self._session.progress.vertex(f"[internal] load metadata for {shown(name)}")
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

    def layout(self, reference: OciLayout) -> Image:
        """The image in an OCI layout directory; it is taken into the store without a name."""
        session = self._session
        architecture = platforms.parse(session.request.platform).architecture
        with self._lock:
            return layout.read(
                session.store,
                session.work,
                reference.path,
                tag=reference.tag,
                digest=reference.digest,
                architecture=architecture,
            )

    def pulled(self, name: str, vertex: Vertex) -> Image:
        """The image of a reference that is to be a cache: the one that is here if it is one, else the registry's."""
        try:
            found = self._session.store.resolve(name)
            if STEPS in found.document:
                return found
        except NotFound:
            pass
        try:
            return self._pull(name, self._session.request.platform, vertex)
        except EngineError:
            return self._session.store.resolve(name)

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
        wanted = platforms.parse(platform or request.platform)
        try:
            found = session.store.resolve(name)
        except NotFound:
            found = None
        builtin = found is not None and found.id == hostlayer.image_id()
        if found is not None and (builtin or not request.pull or _same(name, request.present)):
            actual = platforms.of_config(found.document)
            if actual is None or platforms.runs(actual, wanted):
                return found
        return self._pull(name, platform or request.platform, vertex)

    def _pull(self, name: str, platform: str, vertex: Vertex) -> Image:
        from runtime.images.registry.pull import Asked, pull_image

        session = self._session

        def progress(layer: str, text: str, current: int, total: int) -> None:
            session.check()
            if layer:
                vertex.status(f"{layer} {text} {current} / {total}" if total else f"{layer} {text}")

        asked = Asked(
            reference=parse(name).tagged(),
            platform=platforms.parse(platform),
            access=dict(session.request.access),  # type: ignore[arg-type]  # as it came with the plan
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

"""File system states of a build: layers below, one fresh upper directory a step, and what becomes of it.

A step's upper directory is its layer: nothing is copied or packed. It gets its digest while the next step runs, and all
new layers of a build enter the store together at its end (also of one that failed), so that a killed build leaves none.
"""

from __future__ import annotations

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.images.buildcache import Step
from runtime.images.layertar import TreeTar
from runtime.images.manifest import chain_ids
from runtime.linux import atomicfile
from runtime.linux import constants as c
from runtime.linux.syncfs import syncfs
from runtime.linux.syscalls import KERNEL
from runtime.linux.treeremoval import remove_tree
from runtime.oci.mounts import Context
from runtime.oci.rootmount import Overlay

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from typing import Any

    from runtime.images.buildcache import BuildCache
    from runtime.images.store import ImageStore

OPTIONS: Final = ("redirect_dir=off", "index=off", "metacopy=off")
"""A renamed directory must be copied up whole: as a layer, a reference to another layer means nothing."""
_CHUNK: Final = 1 << 20


class Layer:
    """One layer of a snapshot; `diff_id`, `chain` and `tar_size` are empty until they are known."""

    __slots__ = ("chain", "diff_id", "directory", "measured", "size", "tar_size")

    def __init__(self, directory: str, *, diff_id: str = "", chain: str = "", tar_size: int = 0, size: int = 0) -> None:
        self.directory = directory
        """The tree itself, `.../diff`."""
        self.diff_id = diff_id
        self.chain = chain
        self.tar_size = tar_size
        self.size = size
        self.measured: Future[None] | None = None


class Snapshot(NamedTuple):
    """A state of the file system: layers, bottom first, perhaps on top of this machine's own programs."""

    layers: tuple[Layer, ...] = ()
    on_host: bool = False

    def on_top(self, layer: Layer) -> Snapshot:
        """The state after a step that made `layer`."""
        return Snapshot((*self.layers, layer), self.on_host)


class _Pending(NamedTuple):
    key: str
    step: Step
    layer: Layer
    below: Snapshot
    settled: Callable[[str], None] | None


class Snapshots:
    """The snapshots of one build; `work` is its workspace, in the image store's file system, `views` a directory for mounts."""

    def __init__(self, store: ImageStore, cache: BuildCache, work: str, views: str) -> None:
        self._store = store
        self._cache = cache
        self._work = work
        self._views = views
        self.host_layer = ""
        """The directory of this machine's programs, once it is known."""
        self._lock = threading.Lock()
        self._count = 0
        self._settled = 0
        self._pending: list[_Pending] = []
        self._measuring = ThreadPoolExecutor(max_workers=2, thread_name_prefix="digest")
        self._mounted: dict[tuple[str, ...], str] = {}
        self._empty = f"{work}/empty"
        os.mkdir(self._empty, 0o755)

    def stored(self, chain: str, diff_id: str, tar_size: int = 0, size: int = 0) -> Layer:
        """A layer that is in the store."""
        return Layer(self._store.layer_dir(chain), diff_id=diff_id, chain=chain, tar_size=tar_size, size=size)

    def lowers(self, snapshot: Snapshot) -> list[str]:
        """Directories for an overlay, top first; never empty."""
        found = [layer.directory for layer in reversed(snapshot.layers)]
        if snapshot.on_host:
            found.append(self.host_layer)
        return found or [self._empty]

    def begin(self) -> str:
        """A new directory for a step: with `diff` (the upper directory), `work` and `root`, to mount at."""
        with self._lock:
            self._count += 1
            place = f"{self._work}/step-{self._count}"
        os.mkdir(place, 0o700)
        for name, mode in (("diff", 0o755), ("work", 0o700), ("root", 0o755)):
            os.mkdir(f"{place}/{name}", mode)
            os.chmod(f"{place}/{name}", mode)
        return place

    def rootfs(self, snapshot: Snapshot, place: str, mount_points: str) -> dict[str, Any]:
        """The `x-rootfs` of a container that works on `snapshot` in `place`, over the layer of its mount points."""
        return {
            "type": "overlay",
            "lowerdir": [mount_points, *self.lowers(snapshot)],
            "upperdir": f"{place}/diff",
            "workdir": f"{place}/work",
            "options": list(OPTIONS),
        }

    def mount(self, snapshot: Snapshot, place: str) -> str:
        """Mount `snapshot` with the upper directory of `place`, in this process's mount namespace; its root."""
        _overlay(self.lowers(snapshot), f"{place}/diff", f"{place}/work", f"{place}/root")
        return f"{place}/root"

    def view(self, snapshot: Snapshot) -> str:
        """A read-only look at a snapshot: a directory, mounted once for all who ask."""
        key = tuple(self.lowers(snapshot))
        with self._lock:
            found = self._mounted.get(key)
            if found is None:
                found = f"{self._views}/view-{len(self._mounted)}"
                os.mkdir(found, 0o755)
                lowers = [*key, self._empty] if len(key) == 1 else list(key)  # a single lower one is no overlay
                _overlay(lowers, "", "", found)
                self._mounted[key] = found
        return found

    def unmount(self, place: str) -> None:
        """End what `mount` began; raises SyscallError."""
        # lazily: a program that another thread is starting has our descriptors until its exec, and keeps the mount busy
        KERNEL.umount2(f"{place}/root", c.MNT_DETACH)

    def discard(self, place: str) -> None:
        """Delete what a step that failed has written: the disk may be full of it."""
        remove_tree(place)

    def finish(
        self,
        key: str,
        place: str,
        below: Snapshot,
        *,
        created: str,
        text: str,
        epoch: int | None = None,
        settled: Callable[[str], None] | None = None,
    ) -> Layer:
        """Take the upper directory of `place` as the step's layer and remember it under `key` (empty: do not).

        `epoch`: no file of the layer is to be younger than that, in seconds.
        """
        diff = f"{place}/diff"
        layer = Layer(diff)
        with os.scandir(diff) as entries:
            if next(entries, None) is None:
                os.utime(diff, (0, 0))  # the layers of all steps that changed nothing are one
        layer.measured = self._measuring.submit(_measure, layer, epoch)
        step = Step(chain="", diff_id="", tar_size=0, size=0, created=created, text=text)
        with self._lock:
            self._pending.append(_Pending(key, step, layer, below, settled))
        return layer

    def settle(self) -> int:
        """Move all finished layers into the store and write their cache records; how many since the first time.

        Raises OSError, EngineError.
        """
        with self._lock:
            pending, self._pending = self._pending, []
        if not pending:
            return self._settled
        self._settled += len(pending)
        for item in pending:
            if item.layer.measured is not None:
                item.layer.measured.result()
        for item in pending:
            _name(item)
        syncfs(self._work)
        for item in pending:
            layer = item.layer
            self._keep(layer)
            item.step.update(
                {"chain": layer.chain, "diff_id": layer.diff_id, "tar_size": layer.tar_size, "size": layer.size}
            )
            if item.key:
                self._cache.put(item.key, item.step)
            if item.settled is not None:
                item.settled(layer.chain)
        return self._settled

    def close(self) -> None:
        """Unmount the views and end the threads."""
        self._measuring.shutdown(wait=True)
        for path in self._mounted.values():
            KERNEL.umount2(path, c.MNT_DETACH)
        self._mounted.clear()

    def _keep(self, layer: Layer) -> None:
        place = os.path.dirname(layer.directory)
        for name in os.listdir(place):
            if name not in ("diff", "layer.json"):
                remove_tree(f"{place}/{name}")
        self._store.add_layer(place, layer.chain)
        layer.directory = self._store.layer_dir(layer.chain)


def _name(item: _Pending) -> None:
    """Give a layer its chain id. Steps end in order within a stage, so what lies below has its digest already."""
    layer = item.layer
    diff_ids = [below.diff_id for below in item.below.layers] + [layer.diff_id]
    layer.chain = chain_ids(diff_ids, "host" if item.below.on_host else "")[-1]
    record = {"version": 1, "diff_id": layer.diff_id, "tar_size": layer.tar_size, "size": layer.size}
    atomicfile.write_json(os.path.dirname(layer.directory) + "/layer.json", record, sync=False)


def measure_tree(directory: str) -> tuple[str, int, int]:
    """Digest and size of the layer tar that a directory makes, and the bytes of file content in it; raises OSError."""
    digest = hashlib.sha256()
    size = held = 0
    pieces: list[bytes] = []
    with TreeTar(directory) as stream:
        for piece in stream.pieces():
            pieces.append(piece)
            held += len(piece)
            if held >= _CHUNK:
                digest.update(b"".join(pieces))  # many small ones cost more than the hashing
                size += held
                held = 0
                pieces.clear()
    digest.update(b"".join(pieces))
    return f"sha256:{digest.hexdigest()}", size + held, stream.content


def _measure(layer: Layer, epoch: int | None) -> None:
    if epoch is not None:
        _clamp_times(layer.directory, epoch * 1_000_000_000)
    layer.diff_id, layer.tar_size, layer.size = measure_tree(layer.directory)


def _clamp_times(directory: str, latest: int) -> None:
    """Set times after `latest` (nanoseconds) back to it; directories last, for their entries change nothing more."""
    for path, _, files in os.walk(directory, topdown=False):
        for name in (*files, "."):
            place = f"{path}/{name}"
            if os.lstat(place).st_mtime_ns > latest:
                os.utime(place, ns=(latest, latest), follow_symlinks=False)
        for name in os.listdir(path):
            place = f"{path}/{name}"
            if os.path.islink(place) and os.lstat(place).st_mtime_ns > latest:
                os.utime(place, ns=(latest, latest), follow_symlinks=False)


def _overlay(lowers: list[str], upper: str, work: str, target: str) -> None:
    context = Context(KERNEL)
    Overlay(lowers, upper, work, target, list(OPTIONS)).execute(context)
    os.close(context.root)

"""What all stages of one build share: the request, store and cache, containers, contexts, progress, and the way to stop.

A step is done once for its key, whichever stage comes to it first; a step that fails stops all others.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

from runtime.build.filedigests import join_digest
from runtime.build.trees import Tree
from runtime.cgroups import layout
from runtime.errors import Conflict, EngineError
from runtime.oci import machinefacts

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.build.cachemounts import CacheMounts
    from runtime.build.containers import Containers
    from runtime.build.contexts import Contexts
    from runtime.build.networks import Networks
    from runtime.build.progress import Progress, Vertex
    from runtime.build.request import BuildRequest
    from runtime.build.snapshots import Layer, Snapshot, Snapshots
    from runtime.images.buildcache import BuildCache
    from runtime.images.store import ImageStore
    from runtime.oci.spec import SpecFacts
    from runtime.paths import Paths

T = TypeVar("T")
VERSION = "1"
"""Part of every cache key: a builder that does something differently does not take over old results."""


class Canceled(Conflict):
    """Another step of the build failed; nobody is told of this one."""


class Made(NamedTuple):
    """How making a step went: whether its result may be remembered, and who wants to know its layer's chain id."""

    remember: bool = True
    settled: Callable[[str], None] | None = None


Execute: TypeAlias = "Callable[[str, Vertex], Made]"
"""Makes a step in the directory that Snapshots.begin gave."""


class Stepped(NamedTuple):
    """What a step made and when."""

    layer: Layer
    created: str


@dataclass(kw_only=True)
class Session:
    """One build under way."""

    paths: Paths
    request: BuildRequest
    store: ImageStore
    cache: BuildCache
    snapshots: Snapshots
    containers: Containers
    contexts: Contexts
    networks: Networks
    cache_mounts: CacheMounts
    progress: Progress
    work: str
    memory: str
    """A directory in memory that only this process and its containers see."""
    has_runs: bool = False
    """A stage has a RUN."""
    stopping: threading.Event = field(default_factory=threading.Event)
    _steps: dict[str, Future[Stepped]] = field(default_factory=dict)
    _trees: dict[str, Tree] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def facts(self) -> SpecFacts:
        """What specs of containers say of this machine; only a RUN that is not cached asks."""
        return machinefacts.gather(layout.detect().version)

    def tree(self, path: str, what: str) -> Tree:
        """The tree at a directory, opened once."""
        with self._lock:
            found = self._trees.get(path)
            if found is None:
                found = self._trees[path] = Tree(path, what=what)
        return found

    def close(self) -> None:
        """Close the trees."""
        for tree in self._trees.values():
            tree.close()
        self._trees.clear()

    def stop(self) -> None:
        """Give up what is under way."""
        self.stopping.set()
        self.containers.kill_all()

    def check(self) -> None:
        """Raises Canceled when the build has been given up."""
        if self.stopping.is_set():
            raise Canceled("build: canceled")

    def before(self, name: str, find_out: Callable[[], T]) -> T:
        """What a step depends on; if that cannot be had it is the step that has failed. Raises what `find_out` raises."""
        self.progress.flush()
        try:
            return find_out()
        except Canceled:
            raise
        except EngineError as error:
            self.progress.vertex(name).failed(error.message)
            error.fields.setdefault("vertex", name)
            raise

    def step(
        self,
        name: str,
        key: str,
        below: Snapshot,
        execute: Execute,
        *,
        use_cache: bool = True,
    ) -> Stepped:
        """The result of a step: known, found in the cache, or made now by `execute(place, vertex)`.

        `place` is what Snapshots.begin gives. Raises what `execute` raises, Canceled.
        """
        self.check()
        with self._lock:
            future = self._steps.get(key)
            mine = future is None
            if future is None:
                future = self._steps[key] = Future()
        vertex = self.progress.vertex(name, quiet=True)
        if not mine:
            self.progress.flush()
            stepped = future.result()
            vertex.cached()
            return stepped
        try:
            known = self._known(key) if use_cache else None
            if known is None:
                stepped = self._make(name, key, below, execute, vertex)
                vertex.done()
            else:
                stepped = known
                vertex.cached()
        except BaseException as error:
            future.set_exception(error)
            if isinstance(error, Canceled):
                vertex.canceled()
            else:
                vertex.failed(str(error.message if isinstance(error, EngineError) else error))
            if isinstance(error, EngineError):
                error.fields.setdefault("vertex", name)
            raise
        future.set_result(stepped)
        return stepped

    def _known(self, key: str) -> Stepped | None:
        step = self.cache.get(key)
        if step is None:
            return None
        layer = self.snapshots.stored(step["chain"], step["diff_id"], step["tar_size"], step["size"])
        return Stepped(layer, step["created"])

    def _make(self, name: str, key: str, below: Snapshot, execute: Execute, vertex: Vertex) -> Stepped:
        self.progress.flush()
        self._warm_up()
        place = self.snapshots.begin()
        try:
            made = execute(place, vertex)
            self.check()
        except BaseException:
            self.snapshots.discard(place)
            raise
        epoch = self.request.epoch
        created = now() if epoch is None else rfc3339(epoch * 1_000_000_000)
        layer = self.snapshots.finish(
            key if made.remember else "", place, below, created=created, text=name, epoch=epoch, settled=made.settled
        )
        return Stepped(layer, created)

    def _warm_up(self) -> None:
        """Something has to be made: have ready what the first RUN needs, while it is not yet its turn."""
        with self._lock:
            wanted, self.has_runs = self.has_runs, False
        if wanted:
            threading.Thread(target=self._prepare_for_runs, name="warm up", daemon=True).start()

    def _prepare_for_runs(self) -> None:
        try:
            self.containers.warm_up()
            if self.request.network != "host":
                self.networks.give_back(self.request.network, self.networks.take(self.request.network))
        except (EngineError, OSError):
            return  # the step that needs it will say what is wrong


def key_of(*parts: str) -> str:
    """A cache key."""
    return join_digest((VERSION, *parts))


def now() -> str:
    """The present as RFC 3339 with nanoseconds, UTC."""
    return rfc3339(time.time_ns())


def rfc3339(nanoseconds: int) -> str:
    """A time since the epoch as RFC 3339, as Go prints it: no zeros at the end of the fraction."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}{fraction}Z"

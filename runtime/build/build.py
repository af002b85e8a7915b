"""One build from request to image, in a process of its own with a mount namespace of its own.

Everything that is mounted (views of images, secrets, the host's programs) is mounted there, most of it below a tmpfs: it
is seen by nobody else and gone with the process.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any, Final

from runtime.build.cachemounts import CacheMounts
from runtime.build.containers import Containers
from runtime.build.contexts import Contexts
from runtime.build.networks import Networks
from runtime.build.progress import Progress
from runtime.build.session import Session
from runtime.build.snapshots import Snapshots
from runtime.build.solver import Solver
from runtime.errors import EngineError
from runtime.images import workspace
from runtime.images.buildcache import BuildCache
from runtime.images.store import ImageStore
from runtime.linux import constants as c
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from runtime.build.containers import Spawn
    from runtime.build.export import Result
    from runtime.build.progress import Emit
    from runtime.build.request import BuildRequest
    from runtime.paths import Paths

_CGROUP_ROOT: Final = "pycompose"
_SMALLEST_CACHE: Final = 2 << 30


def build(
    paths: Paths,
    request: BuildRequest,
    *,
    engine_id: str,
    emit: Emit,
    spawn: Spawn,
    channel: socket.socket | None,
    started: Callable[[Session], None] = lambda _session: None,
) -> Result:
    """Build what is asked for. Raises EngineError, OSError.

    `channel` leads to the engine, which gives networks. `started` gets the session, whose `stop` ends the build.
    Steps that were finished stay in the cache however this ends. Only for a process that has one thread.
    """
    store = ImageStore(paths)
    store.prepare()
    workspace.sweep(store.root)
    cache = BuildCache(store.root)
    cache.prepare()
    memory = _private_memory(f"{paths.run}/build")
    os.umask(0)
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        snapshots = Snapshots(store, cache, work, views=memory)
        containers = Containers(spawn, f"{_CGROUP_ROOT}/{engine_id}/build-{os.getpid()}")
        contexts = Contexts(request, work, f"{store.root}/context-digests", f"{store.root}/known_hosts")
        session = Session(
            paths=paths,
            request=request,
            store=store,
            cache=cache,
            snapshots=snapshots,
            containers=containers,
            contexts=contexts,
            networks=Networks(channel),
            cache_mounts=CacheMounts(f"{store.root}/cache-mounts"),
            progress=Progress(emit),
            work=work,
            memory=memory,
        )
        started(session)
        try:
            result = Solver(session).solve()
        except BaseException:
            # what went wrong is what the user is to know, not that its remains could not be put away
            with contextlib.suppress(EngineError, OSError):
                _wind_up(session)
            raise
        _wind_up(session)
        return result


def _wind_up(session: Session) -> None:
    """End the executor, put finished steps into the cache, unmount. Raises OSError, EngineError."""
    session.progress.flush()
    session.containers.close()
    session.close()
    session.contexts.close()
    try:
        if session.snapshots.settle():
            _trim(session.cache, session.store.root)
    finally:
        session.snapshots.close()


def _trim(cache: BuildCache, root: str) -> None:
    """Keep the cache of steps below a tenth of the disk, as BuildKit does; what images have of it is no further burden."""
    disk = os.statvfs(root)
    cache.trim(max(disk.f_blocks * disk.f_frsize // 10, _SMALLEST_CACHE))


def _private_memory(place: str) -> str:
    """Leave the mount namespace of whoever started us and mount a tmpfs at `place` in the new one."""
    os.makedirs(place, mode=0o700, exist_ok=True)
    KERNEL.unshare(c.CLONE_NEWNS)
    KERNEL.mount("", "/", "", c.MS_REC | c.MS_SLAVE)
    KERNEL.mount("tmpfs", place, "tmpfs", c.MS_NOSUID | c.MS_NODEV, "mode=0700")
    return place


def summary(result: Result) -> dict[str, Any]:
    """The result of a BuildImage operation."""
    image = result.image
    if image is None:
        return {}
    said = {"Id": image.id, "RepoTags": image.repo_tags, "Size": image.size}
    return {**said, "Descriptor": dict(result.descriptor)}

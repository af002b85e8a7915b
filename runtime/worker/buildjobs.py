"""The job that builds an image. Its request comes with a socket to the engine, over which it asks for networks.

SIGTERM gives the build up but lets it put away what was finished; a second one, or none of ours, ends it at once.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import threading
from typing import TYPE_CHECKING, Any

from runtime.shim import launch
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from runtime.build.session import Session
    from runtime.paths import Paths
    from runtime.worker.events import Events

_ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
_HIGH_FD = 10


def build_image(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`args` (of BuildImage), `engine` (its id), `channel` (a descriptor) -> `Id`, `RepoTags`, `Size`,
    `Descriptor`.

    Events of status `vertex` tell what is done: see runtime.build.progress.
    """
    from runtime.build.build import build, summary
    from runtime.build.request import from_args

    channel = socket.socket(fileno=int(request["channel"])) if "channel" in request else None
    quiet = threading.Event()

    def emit(told: list[dict[str, Any]]) -> None:
        if not quiet.is_set():
            events.vertices(told)

    def started(session: Session) -> None:
        def stop(_signum: int, _frame: object) -> None:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            quiet.set()  # nobody reads any more
            threading.Thread(target=session.stop, name="stop", daemon=True).start()

        signal.signal(signal.SIGTERM, stop)

    result = build(
        paths,
        from_args(request["args"]),
        engine_id=str(request.get("engine") or "none"),
        emit=emit,
        spawn=spawn,
        channel=channel,
        started=started,
    )
    return summary(result)


def preload() -> None:
    """Import what a build needs."""
    import runtime.build.build
    import runtime.build.request  # noqa: F401


def spawn(program: str, fd: int, target: int) -> int:
    """Start `program` with this package, from a sealed copy of the interpreter, `fd` as its descriptor `target`; its pid."""
    executable = launch.interpreter()
    memfd = launch.sealed_copy(executable)
    # a descriptor that is `target` already would be overwritten before it is used
    given = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
    binary = fcntl.fcntl(memfd, fcntl.F_DUPFD_CLOEXEC, _HIGH_FD)
    try:
        return os.posix_spawn(
            f"/proc/self/fd/{binary}",
            [executable, "-I", "-S", "-X", "utf8", "-c", program, launch.package_root()],
            _ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, 2, 1),
                (os.POSIX_SPAWN_DUP2, given, target),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=[signal.SIGTERM],
        )
    finally:
        seqpacket.close_all([memfd, given, binary])

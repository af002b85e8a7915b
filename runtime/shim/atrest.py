"""Give a client the files of a container that does not run, in a process that the zygote forks for it.

The root file system is mounted in a mount namespace of the process's own, so it is nowhere else and goes with it. Only
the zygote's mount namespace has the built-in image's layer: that is why the process is the zygote's child.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.errors import EngineError, SystemFailure
from runtime.linux import constants as c
from runtime.oci import rootfs
from runtime.oci.mounts import Context
from runtime.shim.archive import ArchiveSession
from runtime.shim.connection import Connection
from runtime.shim.loop import Loop
from runtime.wire import frames

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel


def main(kernel: Kernel, message: dict[str, Any], sock: int) -> NoReturn:
    """Mount what `spec` says at `root`, carry out `request` for the client behind `sock` (frames), and end."""
    loop = Loop()
    client = Connection(loop, socket.socket(fileno=sock))
    try:
        root = mount(kernel, message["spec"], str(message["root"]))
        ArchiveSession(
            loop,
            kernel,
            client=client,
            request=message["request"],
            enter=lambda: root,
            keep={root},
            done=lambda: _leave(loop, client),
        )
    except EngineError as error:
        _refuse(loop, client, error)
    except OSError as error:
        _refuse(loop, client, SystemFailure(f"archive: {(error.strerror or str(error)).lower()}"))
    loop.run()
    os._exit(0)


def mount(kernel: Kernel, spec: dict[str, Any], root: str) -> int:
    """The root directory of a container at rest, mounted for this process only. Raises EngineError, OSError."""
    kernel.unshare(c.CLONE_NEWNS)
    context = Context(kernel)
    for step in rootfs.build_at_rest(spec, root):
        step.execute(context)
    return context.root


def _refuse(loop: Loop, client: Connection, error: EngineError) -> None:
    client.finish(frames.ERROR, error.to_wire())
    _leave(loop, client)


def _leave(loop: Loop, client: Connection) -> None:
    """End once the client has taken all that it was sent, or is gone."""
    if client.closed:
        loop.stop()
        return
    loop.later(0.01, lambda: _leave(loop, client))

"""A connection to the files of a container that does not run: the zygote forks a process that mounts them.

Two mounts of one upper directory at a time are undefined to overlayfs, so a start waits until nobody is at the files,
as it does in Docker.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from runtime.engine.bundle import generated_files

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine


async def connect(engine: Engine, container: Container, request: dict[str, Any]) -> socket.socket:
    """A non-blocking stream of frames to a process that carries out `request` (see runtime.shim.fileaccess).

    The caller holds `container.files`. Raises EngineError.
    """
    record = container.record
    folder = engine.paths.container(record.id)
    layers = await engine.images.rootfs(record.image, folder)
    spec: dict[str, Any] = {
        "root": {"readonly": bool(record.host_config.get("ReadonlyRootfs"))},
        "mounts": [*record.oci_mounts, *generated_files(engine, container)],
    }
    if layers:
        spec["x-rootfs"] = layers
    root = engine.paths.root_mount_point if layers else f"{folder}/rootfs"
    os.makedirs(root, exist_ok=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with theirs:
            await engine.zygote.request("archive", [theirs.fileno()], spec=spec, root=root, request=request)
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    return ours

"""Jobs on a container's files as a whole: make an image of them, write them as one archive."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

from runtime.images import hostlayer
from runtime.images.commit import commit
from runtime.images.hostcopy import ensure_host_layer
from runtime.images.layertar import TreeTar
from runtime.images.store import ImageStore
from runtime.linux import constants as c
from runtime.linux.syscalls import KERNEL
from runtime.oci.mounts import Context
from runtime.oci.rootmount import Overlay

if TYPE_CHECKING:
    from runtime.paths import Paths
    from runtime.worker.events import Events

_CHUNK = 1 << 20


def commit_container(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`image` (id), `upper`, `config`, `reference`, `author`, `message`, `changes` -> `Id`."""
    store = ImageStore(paths)
    store.prepare()
    image = store.held(str(request["image"])) or store.resolve(str(request["image"]))
    made = commit(
        store,
        image,
        str(request["upper"]),
        dict(request["config"]),
        reference=str(request.get("reference") or ""),
        author=str(request.get("author") or ""),
        message=str(request.get("message") or ""),
        changes=[str(change) for change in request.get("changes") or ()],
    )
    return {"Id": made.id}


def export_container(paths: Paths, request: dict[str, Any], events: Events) -> dict[str, Any]:
    """`image` (id), `upper` (empty: the image alone), `output` (a file) -> `Size`: all files as one tar archive."""
    store = ImageStore(paths)
    store.prepare()
    image = store.held(str(request["image"])) or store.resolve(str(request["image"]))
    view = f"{paths.run}/export"
    os.makedirs(view, mode=0o700, exist_ok=True)
    KERNEL.unshare(c.CLONE_NEWNS)
    KERNEL.mount("", "/", "", c.MS_REC | c.MS_SLAVE)
    KERNEL.mount("tmpfs", view, "tmpfs", c.MS_NOSUID | c.MS_NODEV, "mode=0700")
    lowers = store.layer_dirs(image)
    if image.on_host:
        lowers.append(ensure_host_layer(store) if hostlayer.needs_copy() else hostlayer.mount(KERNEL, f"{view}/host"))
    if request.get("upper"):
        lowers.insert(0, str(request["upper"]))
    for name in ("empty", "root"):
        os.mkdir(f"{view}/{name}")
    context = Context(KERNEL)
    Overlay([*lowers, f"{view}/empty"], "", "", f"{view}/root", []).execute(context)
    os.close(context.root)
    output = str(request["output"])
    temporary = f"{output}.tmp-{os.getpid()}"
    try:
        with open(temporary, "xb") as file, TreeTar(f"{view}/root", overlay=False) as stream:
            shutil.copyfileobj(stream, file, _CHUNK)
            size = file.tell()
        os.rename(temporary, output)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return {"Size": size}

"""Copy the host's programs into a layer once, where `/` itself cannot serve as one (it is an overlay already)."""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from runtime.images import hostlayer, workspace
from runtime.images.layertar import TreeTar
from runtime.images.unpack import unpack_layer

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.images.store import ImageStore


def ensure_host_layer(store: ImageStore, progress: Callable[[int], None] | None = None) -> str:
    """The directory of the copied host layer, copied now if it is not there yet (gigabytes; for a worker).

    Raises OSError or EngineError, and leaves no half layer.
    """
    if store.has_layer(hostlayer.LAYER):
        return store.layer_dir(hostlayer.LAYER)
    store.prepare()
    with workspace.lease(store.root), workspace.workspace(store.root) as work:
        os.makedirs(f"{work}/host/diff", mode=0o755)
        for name in hostlayer.build_root(f"{work}/host/diff"):
            target = f"{work}/host/diff/{name}"
            os.mkdir(target, 0o755)
            with io.BufferedReader(TreeTar(f"/{name}", overlay=False), 1 << 18) as stream:
                unpack_layer(stream, target, progress=progress)
        store.add_layer(f"{work}/host", hostlayer.LAYER)
    return store.layer_dir(hostlayer.LAYER)

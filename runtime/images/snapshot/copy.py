"""A container's root file system as a plain copy of the image's layers, where overlayfs cannot be used.

Copying walks whole trees, so it runs in a worker; a marker beside the root, written last, says that it is complete.
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING

from runtime.images.layertar import TreeTar
from runtime.images.snapshot import overlay
from runtime.images.unpack import unpack_layer
from runtime.linux import atomicfile
from runtime.linux.treeremoval import remove_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NAME = "copy"
_MARKER = "rootfs.complete"


def prepared(container_dir: str) -> bool:
    """Whether the copy is there and complete."""
    return os.path.exists(f"{container_dir}/{_MARKER}")


def prepare(container_dir: str, layers: Sequence[str], progress: Callable[[int], None] | None = None) -> None:
    """Copy `layers` (directories in overlay form, top first) one over the other to `container_dir`/rootfs.

    Does nothing if that was done before; half a copy is begun anew. Raises OSError or EngineError.
    """
    if prepared(container_dir):
        return
    root = f"{container_dir}/rootfs"
    remove_tree(root)
    os.mkdir(root, 0o755)
    for layer in reversed(layers):
        with io.BufferedReader(TreeTar(layer), 1 << 18) as stream:
            unpack_layer(stream, root, flat=True, progress=progress)
    os.chmod(root, 0o755)
    os.chown(root, 0, 0)
    atomicfile.write_text(f"{container_dir}/{_MARKER}", "")


def remove(container_dir: str, trash: str) -> None:
    """Move the copy to the trash; a missing one is fine."""
    try:
        os.unlink(f"{container_dir}/{_MARKER}")
    except FileNotFoundError:
        pass
    overlay.remove(container_dir, trash)

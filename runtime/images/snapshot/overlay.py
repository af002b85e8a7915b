"""A container's root file system as an overlay: the image's layers stay as they are, changes go to `upper`.

Nothing is mounted here: the mount is made by the container's init in its own mount namespace and goes with it. The
merged root takes mode and owner from `upper`, which is 0755 and root's whatever the image says, as with Docker.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from runtime.errors import InvalidParameter
from runtime.images.manifest import MAX_LAYERS

if TYPE_CHECKING:
    from collections.abc import Sequence

NAME = "overlay"


def prepare(container_dir: str, layers: Sequence[str]) -> dict[str, Any]:
    """The `x-rootfs` value for `layers` (directories, top first), with upper and work directories made.

    Safe to repeat: what the container wrote before stays. Raises InvalidParameter without layers, OSError.
    """
    if not 0 < len(layers) <= MAX_LAYERS + 1:
        raise InvalidParameter(f"container root {container_dir}: {len(layers)} layers, not 1 to {MAX_LAYERS + 1}")
    upper, work = f"{container_dir}/upper", f"{container_dir}/work"
    for path, mode in ((upper, 0o755), (work, 0o700)):
        try:
            os.mkdir(path, mode)
            os.chmod(path, mode)
        except FileExistsError:
            pass
    return {"type": "overlay", "lowerdir": list(layers), "upperdir": upper, "workdir": work}


def remove(container_dir: str, trash: str) -> None:
    """Move what the container wrote to the trash (deleted by a worker later); what is missing is fine."""
    for name in ("upper", "work", "rootfs"):
        try:
            os.rename(f"{container_dir}/{name}", f"{trash}/{name}-{os.urandom(8).hex()}")
        except FileNotFoundError:
            pass

"""Find out whether overlayfs works on a data root: by asking the kernel to set one up, without mounting it anywhere."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal

from runtime.errors import SyscallError
from runtime.linux.constants import FSCONFIG_CMD_CREATE, FSCONFIG_SET_STRING
from runtime.linux.syscalls import KERNEL
from runtime.linux.treeremoval import remove_tree

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel


def choose(path: str, kernel: Kernel = KERNEL) -> Literal["overlay", "copy"]:
    """The name of the snapshot module to use for containers whose data lies below `path`."""
    return "overlay" if can_overlay(path, kernel) else "copy"


def can_overlay(path: str, kernel: Kernel = KERNEL) -> bool:
    """Whether upper and lower directories on the file system of the directory `path` make an overlay.

    The superblock is created and dropped again, never mounted: nobody else sees anything of it. Raises OSError only if
    `path` cannot be written.
    """
    probe = f"{path}/.overlay-probe-{os.urandom(6).hex()}"
    os.mkdir(probe, 0o700)
    try:
        for name in ("lower", "upper", "work"):
            os.mkdir(f"{probe}/{name}")
        # whiteouts and opaque marks must be storable as well
        os.setxattr(f"{probe}/lower", "trusted.overlay.opaque", b"y")
        os.mknod(f"{probe}/lower/gone", 0o020000, 0)
        fd = kernel.fsopen("overlay")
        try:
            for key, name in (("lowerdir", "lower"), ("upperdir", "upper"), ("workdir", "work")):
                kernel.fsconfig(fd, FSCONFIG_SET_STRING, key, f"{probe}/{name}")
            kernel.fsconfig(fd, FSCONFIG_CMD_CREATE)
        finally:
            os.close(fd)
    except (OSError, SyscallError):
        return False
    finally:
        remove_tree(probe)
    return True

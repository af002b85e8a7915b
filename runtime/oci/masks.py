"""Hide and protect paths of the kernel's file systems: masked paths, read-only paths.

The source of a file mask is the host's /dev/null, checked to be device 1:3 by descriptor: the container's own could have
been swapped (CVE-2025-31133). Directories are covered by one empty read-only tmpfs, shared by all of them.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from runtime.errors import SystemFailure
from runtime.linux import constants as c
from runtime.linux import mountattr, saferesolve
from runtime.oci.mounts import PSEUDO_ATTRIBUTES

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel
    from runtime.oci.mounts import Context

_CLONE_FD: Final = c.OPEN_TREE_CLONE | c.AT_EMPTY_PATH
_NULL: Final = os.makedev(1, 3)


class ReadOnlyPaths:
    """Each path bound onto itself, read-only; absent ones are skipped."""

    __slots__ = ("paths",)

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def describe(self) -> str:
        return f"read-only {' '.join(self.paths)}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        for path in self.paths:
            target = saferesolve.open_if_there(kernel, context.root, path)
            if target is None:
                continue
            tree = kernel.open_tree(target, "", _CLONE_FD | c.AT_RECURSIVE)
            kernel.move_mount(tree, target)
            mountattr.change(kernel, tree, PSEUDO_ATTRIBUTES | c.MOUNT_ATTR_RDONLY)
            os.close(tree)
            os.close(target)


class MaskedPaths:
    """Files read as empty, directories as empty and read-only; absent ones are skipped."""

    __slots__ = ("paths",)

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def describe(self) -> str:
        return f"masked {' '.join(self.paths)}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        null = empty = -1
        for path in self.paths:
            target = saferesolve.open_if_there(kernel, context.root, path)
            if target is None:
                continue
            if not stat.S_ISDIR(os.fstat(target).st_mode):
                if null < 0:
                    null = _open_null(kernel)
                cover = kernel.open_tree(null, "", _CLONE_FD)
            elif empty < 0:
                cover = empty = _empty_tmpfs(kernel)
            else:
                cover = kernel.open_tree(empty, "", _CLONE_FD)
            kernel.move_mount(cover, target)
            os.close(target)
            if cover != empty:
                os.close(cover)
        for fd in (null, empty):
            if fd >= 0:
                os.close(fd)


def _open_null(kernel: Kernel) -> int:
    fd = kernel.open_tree(c.AT_FDCWD, "/dev/null", 0)
    status = os.fstat(fd)
    if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _NULL:
        raise SystemFailure("/dev/null: is not the null device on this machine")
    return fd


def _empty_tmpfs(kernel: Kernel) -> int:
    context = kernel.fsopen("tmpfs")
    kernel.fsconfig(context, c.FSCONFIG_SET_STRING, "source", "tmpfs")
    kernel.fsconfig(context, c.FSCONFIG_SET_STRING, "size", "4k")
    kernel.fsconfig(context, c.FSCONFIG_SET_STRING, "nr_inodes", "1")
    kernel.fsconfig(context, c.FSCONFIG_SET_STRING, "mode", "755")
    kernel.fsconfig(context, c.FSCONFIG_CMD_CREATE)
    mounted = kernel.fsmount(context, PSEUDO_ATTRIBUTES | c.MOUNT_ATTR_RDONLY)
    os.close(context)
    return mounted

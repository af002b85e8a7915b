"""Flags and propagation of an attached mount, held by a descriptor of its root.

mount_setattr came with Linux 5.12; before it the same is done by remounting /proc/self/fd/N, which replaces all flags at
once, so the present ones are read first. That works only on attached mounts: attach first, then change.
"""

from __future__ import annotations

import os
from errno import ENOSYS
from typing import TYPE_CHECKING, Final

from runtime.errors import NotSupported, SyscallError
from runtime.linux import constants as c

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

# MOUNT_ATTR_*, the MS_* of the same meaning, the ST_* in which statvfs reports it
_FLAGS: Final = (
    (c.MOUNT_ATTR_RDONLY, c.MS_RDONLY, 1),
    (c.MOUNT_ATTR_NOSUID, c.MS_NOSUID, 2),
    (c.MOUNT_ATTR_NODEV, c.MS_NODEV, 4),
    (c.MOUNT_ATTR_NOEXEC, c.MS_NOEXEC, 8),
    (c.MOUNT_ATTR_NOATIME, c.MS_NOATIME, 1024),
    (c.MOUNT_ATTR_NODIRATIME, c.MS_NODIRATIME, 2048),
    (c.MOUNT_ATTR_NOSYMFOLLOW, c.MS_NOSYMFOLLOW, 8192),
)
_RELATIME: Final = 4096


def change(kernel: Kernel, fd: int, attr_set: int, attr_clr: int = 0, *, recursive: bool = False) -> None:
    """Set and clear MOUNT_ATTR_* flags; raises SyscallError, NotSupported for `recursive` before Linux 5.12."""
    try:
        kernel.mount_setattr(fd, attr_set, attr_clr, recursive=recursive)
    except SyscallError as error:
        if error.errno != ENOSYS:
            raise
        if recursive:
            raise NotSupported("recursive mount flags need Linux 5.12 or later") from error
        kernel.mount("", f"/proc/self/fd/{fd}", "", c.MS_BIND | c.MS_REMOUNT | _replaced(fd, attr_set, attr_clr))


def propagate(kernel: Kernel, fd: int, propagation: int) -> None:
    """Set the propagation type: MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE, with MS_REC for the whole tree."""
    try:
        kernel.mount_setattr(fd, 0, propagation=propagation & ~c.MS_REC, recursive=bool(propagation & c.MS_REC))
    except SyscallError as error:
        if error.errno != ENOSYS:
            raise
        kernel.mount("", f"/proc/self/fd/{fd}", "", propagation)


def _replaced(fd: int, attr_set: int, attr_clr: int) -> int:
    present = os.fstatvfs(fd).f_flag
    flags = 0
    for attribute, flag, reported in _FLAGS:
        wanted = (bool(present & reported) and not attr_clr & attribute) or bool(attr_set & attribute)
        flags |= flag if wanted else 0
    if attr_set & c.MOUNT_ATTR_STRICTATIME:
        return flags | c.MS_STRICTATIME
    if present & _RELATIME and not flags & c.MS_NOATIME:
        return flags | c.MS_RELATIME
    return flags

"""Attributes of inodes that file systems of the ext family know (chattr(1)).

ext4 puts a new directory near its parent. Directories that have nothing to do with each other belong apart: below one
marked as a top of hierarchies each gets a block group of its own choice. It matters most without a journal, where ext4
looks at every inode that was freed in a group during the last seconds before it takes one there: containers that come
and go would pay for each other's files (measured: half of the time to start fifty of them).
"""

from __future__ import annotations

import array
import fcntl
import os
from typing import Final

_FS_IOC_GETFLAGS: Final = 0x80086601
_FS_IOC_SETFLAGS: Final = 0x40086602
_FS_TOPDIR_FL: Final = 0x00020000


def mark_top_of_hierarchies(path: str) -> None:
    """Have the subdirectories of the directory `path` spread over the disk; file systems without the attribute stay as
    they are. Raises FileNotFoundError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    flags = array.array("l", [0])
    try:
        fcntl.ioctl(fd, _FS_IOC_GETFLAGS, flags)
        if not flags[0] & _FS_TOPDIR_FL:
            flags[0] |= _FS_TOPDIR_FL
            fcntl.ioctl(fd, _FS_IOC_SETFLAGS, flags)
    except OSError:
        return  # ENOTTY, EOPNOTSUPP: it has no such attribute, or not for us
    finally:
        os.close(fd)

"""Copy a directory of an image into an empty volume: owners, modes, times, extended attributes, links, special files.

Everything goes by directory descriptors and O_NOFOLLOW, so that no link in either tree is ever followed. The flock on
the volume lets two containers that start at once fill it once. The volume's root takes the image directory's owner
and mode, which is what lets a database that is not root write there.
"""

from __future__ import annotations

import fcntl
import os
import stat
from errno import EINVAL, ENODATA, ENOSYS, ENOTSUP, EPERM, EXDEV
from typing import Final

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK: Final = 1 << 30
_OVERLAY_PREFIXES: Final = ("trusted.overlay.", "user.overlay.")


def fill_empty(image: int, volume: str) -> bool:
    """Copy the tree below the directory `image` into the directory `volume` if that is empty; False if it was not."""
    target = os.open(volume, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(target, fcntl.LOCK_EX)
        if os.listdir(target):
            return False
        copy_tree(image, target)
        return True
    finally:
        os.close(target)


def copy_tree_below(covered: int, mounted: int) -> None:
    """copy_tree for O_PATH descriptors: of a directory that a mount has covered, and of that mount."""
    source = os.open(f"/proc/self/fd/{covered}", _DIRECTORY & ~os.O_NOFOLLOW)
    target = os.open(f"/proc/self/fd/{mounted}", _DIRECTORY & ~os.O_NOFOLLOW)
    copy_tree(source, target)
    os.close(source)
    os.close(target)


def copy_tree(source: int, target: int) -> None:
    """Copy what is in the directory `source` into the directory `target`, then its owner, mode and attributes."""
    hard_links: dict[tuple[int, int], str] = {}
    top = os.dup(target)
    try:
        _copy_directory(source, target, "", top, hard_links)
    finally:
        os.close(top)


def _copy_directory(source: int, target: int, prefix: str, top: int, hard_links: dict[tuple[int, int], str]) -> None:
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        path = f"{prefix}{name}"
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=target)
            inner_source = os.open(name, _DIRECTORY, dir_fd=source)
            inner_target = os.open(name, _DIRECTORY, dir_fd=target)
            try:
                _copy_directory(inner_source, inner_target, f"{path}/", top, hard_links)
            finally:
                os.close(inner_source)
                os.close(inner_target)
            continue
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and key in hard_links:
            os.link(hard_links[key], name, src_dir_fd=top, dst_dir_fd=target, follow_symlinks=False)
            continue
        hard_links[key] = path
        _copy_other(source, target, name, status)
    _copy_status(source, target, os.fstat(source))


def _copy_other(source: int, target: int, name: str, status: os.stat_result) -> None:
    mode = status.st_mode
    if stat.S_ISREG(mode):
        _copy_file(source, target, name, status)
        return
    if stat.S_ISLNK(mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, mode, status.st_rdev, dir_fd=target)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(mode):
        os.chmod(name, stat.S_IMODE(mode), dir_fd=target)  # just made by us below a directory we hold: no link
    os.utime(name, ns=(status.st_atime_ns, status.st_mtime_ns), dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str, status: os.stat_result) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    try:
        writer = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target
        )
        try:
            _copy_data(reader, writer)
            _copy_status(reader, writer, status)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_data(reader: int, writer: int) -> None:
    try:
        while os.copy_file_range(reader, writer, _BLOCK):
            pass
    except OSError as error:
        if error.errno not in {EXDEV, ENOTSUP, EINVAL, ENOSYS}:
            raise
        while os.sendfile(writer, reader, None, _BLOCK):  # None: from the reader's own offset
            pass


def _copy_status(source: int, target: int, status: os.stat_result) -> None:
    os.fchown(target, status.st_uid, status.st_gid)
    for name in os.listxattr(source):
        if name.startswith(_OVERLAY_PREFIXES):
            continue
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in {ENODATA, ENOTSUP, EPERM}:
                raise
    os.fchmod(target, stat.S_IMODE(status.st_mode))  # after chown, which clears setuid
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

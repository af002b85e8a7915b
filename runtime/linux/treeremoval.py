"""Delete a tree without ever leaving it: by descriptors, no symbolic link followed, no mount entered.

A bind mount of the same file system has the same st_dev, so comparing devices would delete the host's files through it:
RESOLVE_NO_XDEV is what tells every mount point apart.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from runtime.errors import SyscallError
from runtime.linux.constants import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_WITHIN = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV


def remove_tree(path: str, kernel: Kernel = KERNEL) -> list[str]:
    """Delete `path` (of any type); returns the paths that had to stay (mount points, immutable files), deepest first.

    A missing path is fine. Raises OSError only if the parent directory cannot be opened.
    """
    parent, name = os.path.split(os.path.abspath(path))
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return remove_at(fd, name, kernel, path=path)
    finally:
        os.close(fd)


def remove_at(dir_fd: int, name: str, kernel: Kernel = KERNEL, *, path: str = "") -> list[str]:
    """Delete the entry `name` of an open directory, with all below it; see remove_tree."""
    path = path or name
    if (kept := _unlink(dir_fd, name, path)) is not None:
        return kept
    # an explicit stack: the depth of a tree is bounded by the disk only, Python's recursion and open files by far less
    left: list[str] = []
    pending: list[tuple[str, bool]] = [("", False)]
    try:
        top = kernel.openat2(dir_fd, name, _DIRECTORY, resolve=_WITHIN)
    except SyscallError as error:
        return [] if error.errno == errno.ENOENT else [path]
    try:
        while pending:
            below, emptied = pending.pop()
            if emptied:
                _remove_directory(top, below, f"{path}/{below}", left)
                continue
            children = _empty(kernel, top, below, path, left)
            if below:
                pending.append((below, True))
            pending.extend((child, False) for child in children)
    finally:
        os.close(top)
    _remove_directory(dir_fd, name, path, left)
    return left


def _empty(kernel: Kernel, top: int, below: str, path: str, left: list[str]) -> list[str]:
    """Unlink everything in a directory that is not a directory; the directories in it, relative to `top`."""
    try:
        fd = _open_below(kernel, top, below)
    except OSError:
        left.append(f"{path}/{below}")
        return []
    except SyscallError as error:
        if error.errno != errno.ENOENT:
            left.append(f"{path}/{below}")
        return []
    children = []
    try:
        with os.scandir(fd) as entries:
            names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        for name, is_directory in names:
            relative = f"{below}/{name}" if below else name
            if is_directory:
                children.append(relative)
            else:
                kept = _unlink(fd, name, f"{path}/{relative}")
                left.extend(kept or ())
    finally:
        os.close(fd)
    return children


def _open_below(kernel: Kernel, top: int, below: str) -> int:
    if len(below) < 4000:
        return kernel.openat2(top, below or ".", _DIRECTORY, resolve=_WITHIN)
    # PATH_MAX bounds one lookup, not the depth of a tree
    fd = os.dup(top)
    for part in below.split("/"):
        try:
            deeper = kernel.openat2(fd, part, _DIRECTORY, resolve=_WITHIN)
        finally:
            os.close(fd)
        fd = deeper
    return fd


def _unlink(dir_fd: int, name: str, path: str) -> list[str] | None:
    """Unlink; None if `name` is a directory, else the list of what stayed."""
    try:
        os.unlink(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return []
    except IsADirectoryError:
        return None
    except OSError:
        return [path]
    return []


def _remove_directory(dir_fd: int, name: str, path: str, left: list[str]) -> None:
    try:
        if len(name) < 4000:
            os.rmdir(name, dir_fd=dir_fd)
            return
        head, tail = os.path.split(name)
        fd = _open_below(KERNEL, dir_fd, head)
        try:
            os.rmdir(tail, dir_fd=fd)
        finally:
            os.close(fd)
    except FileNotFoundError:
        pass
    except (OSError, SyscallError):
        # a parent that cannot go because of what stays in it is not worth a second name
        if not any(kept == path or kept.startswith(f"{path}/") for kept in left):
            left.append(path)

"""A directory that is the whole world for the names in an archive: no name leads out of it.

Lookups go through openat2(RESOLVE_IN_ROOT): symbolic links, absolute names and `..` are resolved as if the directory
were `/`. Every change is then made by descriptor of the parent and a single name that is not followed.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from runtime.errors import InvalidParameter, SyscallError
from runtime.images.tarstream import shown
from runtime.linux.constants import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV
from runtime.linux.treeremoval import remove_at

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel

    MakeDirectory = Callable[[int, list[bytes], os.stat_result | None], None]

_IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV
_OPEN_PARENTS = 64


def components(name: bytes, what: str) -> list[bytes]:
    """The parts of `name` with `.` and `..` worked out as text; raises InvalidParameter if it climbs above the root."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part in (b"", b"."):
            continue
        if part != b"..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise InvalidParameter(f'layer entry "{shown(name)}": invalid {what}: outside the root')
    return parts


class Confined:
    """Names below one directory. Not for use while somebody else changes the tree (a private, unfinished layer)."""

    def __init__(self, path: str, kernel: Kernel, make_directory: MakeDirectory) -> None:
        """`make_directory` makes one missing directory on the way to an entry, over a whiteout if there is one."""
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._kernel = kernel
        self._make_directory = make_directory
        self._parents: dict[bytes, int] = {}
        self._stale = False

    def close(self) -> None:
        """Close all descriptors."""
        self._forget()
        os.close(self.fd)

    def parent(self, parts: list[bytes]) -> int:
        """A descriptor of the directory that holds the entry `parts`, made if missing; valid until the next call."""
        if self._stale or len(self._parents) >= _OPEN_PARENTS:
            self._forget()
        if len(parts) <= 1:
            return self.fd
        key = b"/".join(parts[:-1])
        found = self._parents.get(key)
        if found is not None:
            return found
        fd = self.lookup(key)
        if fd is None:
            self._make(parts[:-1])
            fd = self.lookup(key)
        if fd is None:
            raise InvalidParameter(f'layer entry "{shown(b"/".join(parts))}": the path to it is no directory')
        self._parents[key] = fd
        return fd

    def lookup(self, path: bytes) -> int | None:
        """An O_PATH descriptor (the caller's to close) of the directory at `path`; None if there is none."""
        try:
            return self._kernel.openat2(self.fd, path, os.O_PATH | os.O_DIRECTORY, resolve=_IN_ROOT)
        except SyscallError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            reason = os.strerror(error.errno).lower()
            raise InvalidParameter(f'layer entry "{shown(path)}": {reason}') from error

    def remove(self, dir_fd: int, name: bytes, found: os.stat_result) -> None:
        """Delete what an earlier entry put at `name`."""
        # a directory or link may have been part of a remembered path
        self._stale = self._stale or not stat.S_ISREG(found.st_mode)
        remove_at(dir_fd, os.fsdecode(name), self._kernel)

    def _make(self, parts: list[bytes]) -> None:
        for depth in range(1, len(parts) + 1):
            fd = self.lookup(b"/".join(parts[:depth]))
            if fd is not None:
                os.close(fd)
                continue
            above = self.lookup(b"/".join(parts[: depth - 1]) or b".")
            if above is None:
                return
            try:
                found = lstat(above, parts[depth - 1])
                if found is not None and not is_whiteout(found):
                    return  # a dangling link or a file: the next lookup fails
                self._make_directory(above, parts[:depth], found)
            finally:
                os.close(above)

    def _forget(self) -> None:
        for fd in self._parents.values():
            os.close(fd)
        self._parents.clear()
        self._stale = False


def lstat(dir_fd: int, name: bytes) -> os.stat_result | None:
    """The status of one name, links not followed; None if it does not exist."""
    try:
        return os.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return None


def is_whiteout(found: os.stat_result) -> bool:
    """Whether a file is overlayfs's mark for "deleted": character device 0:0."""
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0

"""Write a file or a tree of a container as a tar stream, from a process that runs nothing of its image.

The tree is a stranger's and may change meanwhile: directories are entered by descriptor without following links, a file
that shrinks is filled up with zeros. What the kernel makes up (/proc, /sys, /dev) is no part of the tree.
"""

from __future__ import annotations

import os
import stat
from errno import ELOOP, ENOENT, ENOTDIR
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, NotFound, SyscallError
from runtime.images import tarheader
from runtime.images.tarstream import BLOCK, shown
from runtime.linux import constants as c
from runtime.linux import saferesolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.linux.syscalls import Kernel

_CHUNK: Final = 1 << 18
_MAX_LINKS: Final = 40
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY
_LIST: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_WITHIN: Final = c.RESOLVE_BENEATH | c.RESOLVE_NO_SYMLINKS
_MADE_UP: Final = frozenset(
    {c.PROC_SUPER_MAGIC, c.SYSFS_MAGIC, c.CGROUP_SUPER_MAGIC, c.CGROUP2_SUPER_MAGIC, c.DEVPTS_SUPER_MAGIC}
)
_KINDS: Final = {
    stat.S_IFDIR: "directory",
    stat.S_IFREG: "file",
    stat.S_IFLNK: "link",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


class Place:
    """Where a path leads: the directory that holds it and its name there; "." where the path names a directory's inside."""

    __slots__ = ("name", "parent", "status")

    def __init__(self, kernel: Kernel, root: int, path: str) -> None:
        """The last component is not followed, except before a slash. Raises NotFound, InvalidParameter."""
        head, name = os.path.split("/" + path.lstrip("/"))
        if name in ("", ".", ".."):
            head, name = path, "."
        try:
            self.parent = saferesolve.open_in_root(kernel, root, head, _DIRECTORY)
        except SyscallError as error:
            raise _unusable(error, path) from None
        self.name = name
        try:
            self.status = os.lstat(name, dir_fd=self.parent)
            made_up = kernel.fstatfs_type(self.parent) in _MADE_UP
        except FileNotFoundError:
            made_up = True
        if made_up:
            self.close()
            raise _missing(path)

    def close(self) -> None:
        os.close(self.parent)


def look(kernel: Kernel, root: int, path: str, *, follow: bool) -> dict[str, Any]:
    """What is at `path`: `Path`, `Kind` (directory, file, link, device, other), `Mode`, `Size`.

    With `follow` a link is followed, and `Path` is where it leads; `Kind` is empty where nothing is there.
    Raises NotFound when `path` itself is not there.
    """
    links = 0
    while True:
        try:
            place = Place(kernel, root, path)
        except NotFound:
            if not links:
                raise
            return {"Path": path, "Kind": "", "Mode": 0, "Size": 0}
        try:
            status = place.status
            if not (follow and stat.S_ISLNK(status.st_mode)):
                kind = _KINDS.get(stat.S_IFMT(status.st_mode), "other")
                return {"Path": path, "Kind": kind, "Mode": status.st_mode, "Size": status.st_size}
            target = os.readlink(place.name, dir_fd=place.parent)
        finally:
            place.close()
        links += 1
        if links > _MAX_LINKS:
            raise InvalidParameter(f"{path}: {os.strerror(ELOOP).lower()}", path=path)
        # not shortened: what ".." means behind a link, the kernel knows when it resolves it
        path = target if target.startswith("/") else f"{os.path.dirname(path)}/{target}"


def write(kernel: Kernel, root: int, path: str, out: int) -> None:
    """Write the tar stream of what is at `path` to the descriptor `out`.

    Names begin with the last component of `path`, with "." for a path that ends in a slash and a dot, or the root.
    Raises NotFound, InvalidParameter, OSError.
    """
    place = Place(kernel, root, path)
    try:
        name = os.fsencode(os.path.basename(path.rstrip("/")) or ".")
        for chunk in _Tree(kernel).entries(place, name, top=_is_root(root, place)):
            _write_all(out, chunk)
        _write_all(out, bytes(2 * BLOCK))
    finally:
        place.close()


class _Tree:
    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._linked: dict[tuple[int, int], bytes] = {}

    def entries(self, place: Place, name: bytes, *, top: bool) -> Iterator[bytes]:
        if not stat.S_ISDIR(place.status.st_mode):
            yield from self._other(place.parent, os.fsencode(place.name), name, place.status)
            return
        base = self._kernel.openat2(place.parent, place.name, _LIST, resolve=_WITHIN)
        try:
            # names still to write, the next one last: depth is bounded by the disk, not by Python's recursion
            pending = [b""]
            while pending:
                below = pending.pop()
                yield from self._one(base, below, name, pending, hidden=top and below == b"dev")
        finally:
            os.close(base)

    def _one(self, base: int, below: bytes, name: bytes, pending: list[bytes], *, hidden: bool) -> Iterator[bytes]:
        """The entry of `below`, relative to the tree; what a directory holds goes to `pending`."""
        head, tail = os.path.split(below)
        full = name + b"/" + below if below else name
        try:
            parent = self._kernel.openat2(base, os.fsdecode(head) or ".", _DIRECTORY, resolve=_WITHIN)
        except SyscallError:
            return  # gone since
        try:
            status = os.lstat(tail or b".", dir_fd=parent)
            if not stat.S_ISDIR(status.st_mode):
                yield from self._other(parent, tail, full, status)
                return
            fd = self._kernel.openat2(parent, os.fsdecode(tail) or ".", _LIST, resolve=_WITHIN)
            try:
                yield from tarheader.header(full + b"/", os.fstat(fd), b"", {})
                if not hidden and self._kernel.fstatfs_type(fd) not in _MADE_UP:
                    names = sorted(map(os.fsencode, os.listdir(fd)), reverse=True)
                    pending += [below + b"/" + each if below else each for each in names]
            finally:
                os.close(fd)
        except (FileNotFoundError, SyscallError):
            return  # gone since, or another thing by now
        finally:
            os.close(parent)

    def _other(self, parent: int, tail: bytes, name: bytes, status: os.stat_result) -> Iterator[bytes]:
        if stat.S_IFMT(status.st_mode) not in tarheader.TYPES:
            return  # a socket
        key = (status.st_dev, status.st_ino)
        if status.st_nlink > 1 and (first := self._linked.setdefault(key, name)) != name:
            yield from tarheader.header(name, status, first, {}, typeflag=b"1")
        elif stat.S_ISREG(status.st_mode):
            yield from self._file(parent, tail, name)
        else:
            link = os.readlink(tail, dir_fd=parent) if stat.S_ISLNK(status.st_mode) else b""
            yield from tarheader.header(name, status, link, {})

    def _file(self, parent: int, tail: bytes, name: bytes) -> Iterator[bytes]:
        # what was a file a moment ago may be a FIFO now
        fd = os.open(tail, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                return
            yield from tarheader.header(name, status, b"", {})
            left = status.st_size
            while left and (data := os.read(fd, min(left, _CHUNK))):
                left -= len(data)
                yield data
            for size in range(left, 0, -_CHUNK):
                yield bytes(min(size, _CHUNK))
            yield bytes(-status.st_size % BLOCK)
        finally:
            os.close(fd)


def _is_root(root: int, place: Place) -> bool:
    return os.path.samestat(place.status, os.fstat(root))


def _missing(path: str) -> NotFound:
    return NotFound(f"could not find the file {shown(os.fsencode(path))}", path=path)


def _unusable(error: SyscallError, path: str) -> NotFound | InvalidParameter:
    if error.errno == ENOENT:
        return _missing(path)
    if error.errno == ENOTDIR:
        return InvalidParameter(f"{shown(os.fsencode(path))}: not a directory", path=path)
    return InvalidParameter(f"{shown(os.fsencode(path))}: {os.strerror(error.errno or 0).lower()}", path=path)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

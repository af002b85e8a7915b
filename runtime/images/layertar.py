"""Write a directory as a layer's tar stream, the same bytes each time for the same tree.

Sorted names, whole seconds, numeric owners and no sparse maps: what unpacking keeps is all that goes in. So the stream
of an unpacked layer has the digest it had when the layer was made, and no second copy of it needs to lie on the disk.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import Conflict, InvalidParameter, SyscallError
from runtime.images.confined import is_whiteout
from runtime.images.tarheader import block, header
from runtime.images.tarstream import BLOCK, shown
from runtime.images.unpack import OPAQUE, WHITEOUT
from runtime.linux.constants import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV
from runtime.linux.syscalls import KERNEL

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    from runtime.linux.syscalls import Kernel

_CHUNK: Final = 1 << 18
_WITHIN: Final = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
_KEPT: Final = ("security.capability", "user.", "system.posix_acl_")
_DROPPED: Final = "user.overlay."
_OPAQUE_XATTRS: Final = ("trusted.overlay.opaque", "user.overlay.opaque")


class TreeTar(io.RawIOBase):
    """The stream as a raw reader; wrap it in io.BufferedReader for small reads."""

    def __init__(
        self,
        path: str,
        *,
        overlay: bool = True,
        skipped: Callable[[str, str], None] | None = None,
        kernel: Kernel = KERNEL,
    ) -> None:
        """`overlay`: whiteouts and opaque marks mean deletions; else the tree is a plain one and may hold none.

        `skipped(path, why)` hears of sockets, mount points and files that vanish under way.
        Reading raises OSError, and Conflict when a file shrinks while it is read.
        """
        self._chunks = _Writer(path, overlay, skipped or (lambda _path, _why: None), kernel).tree()
        self._rest: bytes | memoryview = b""

    def readable(self) -> bool:
        return True

    def pieces(self) -> Iterator[bytes]:
        """The stream in pieces of any size, instead of reading it: for whoever only wants them in turn."""
        return self._chunks

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._chunks.close()
        super().close()


class _Writer:
    def __init__(self, path: str, overlay: bool, skipped: Callable[[str, str], None], kernel: Kernel) -> None:
        self._path = path
        self._overlay = overlay
        self._skipped = skipped
        self._kernel = kernel
        self._linked: dict[tuple[int, int], bytes] = {}
        self._parent: tuple[bytes, int] = (b"", -1)
        """The directory of the entry before, which most often is that of the next one, and a descriptor of it."""

    def tree(self) -> Generator[bytes, None, None]:
        root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield from header(b"./", os.fstat(root), b"", _xattrs(f"/proc/self/fd/{root}", follow=True))
            # names still to write, the next one last: depth is bounded by the disk, not by Python's recursion
            pending = self._children(root, b"")
            while pending:
                name = pending.pop()
                for item in self._entry(root, name):
                    if isinstance(item, list):
                        pending += item
                    else:
                        yield item
        finally:
            os.close(root)
            if self._parent[1] >= 0:
                os.close(self._parent[1])
        yield bytes(2 * BLOCK)

    def _children(self, fd: int, below: bytes) -> list[bytes]:
        prefix = below + b"/" if below else b""
        return [prefix + os.fsencode(name) for name in sorted(os.listdir(fd), key=os.fsencode, reverse=True)]

    def _entry(self, root: int, name: bytes) -> Iterator[bytes | list[bytes]]:
        """Chunks of one entry, and for a directory the list of names below it."""
        head, tail = os.path.split(name)
        try:
            parent = self._open_parent(root, head)
        except SyscallError:
            self._skipped(shown(name), "vanished")
            return
        try:
            found = os.lstat(tail, dir_fd=parent)
            if not self._overlay and tail.startswith(WHITEOUT):
                raise InvalidParameter(f'{self._path}: the name "{shown(name)}" is reserved for deletions in layers')
            if is_whiteout(found):
                if self._overlay:
                    yield block(os.path.join(head, WHITEOUT + tail), found, b"0", 0, mode=0, mtime=0)
                return
            yield from self._object(parent, name, tail, found)
        except FileNotFoundError:
            self._skipped(shown(name), "vanished")

    def _open_parent(self, root: int, head: bytes) -> int:
        known, fd = self._parent
        if fd < 0 or known != head:
            opened = self._kernel.openat2(root, head or b".", os.O_PATH | os.O_DIRECTORY, resolve=_WITHIN)
            if fd >= 0:
                os.close(fd)
            self._parent = (head, fd := opened)
        return fd

    def _object(self, parent: int, name: bytes, tail: bytes, found: os.stat_result) -> Iterator[bytes | list[bytes]]:
        path = f"/proc/self/fd/{parent}/".encode() + tail
        if stat.S_ISDIR(found.st_mode):
            yield from self._directory(parent, name, tail, found)
        elif stat.S_ISSOCK(found.st_mode):
            self._skipped(shown(name), "a socket")
        elif found.st_nlink > 1 and (first := self._linked.setdefault((found.st_dev, found.st_ino), name)) != name:
            yield from header(name, found, first, {}, typeflag=b"1")
        elif stat.S_ISREG(found.st_mode):
            yield from self._file(parent, name, tail, found)
        else:
            link = os.readlink(tail, dir_fd=parent) if stat.S_ISLNK(found.st_mode) else b""
            yield from header(name, found, link, _xattrs(path, follow=False))

    def _directory(self, parent: int, name: bytes, tail: bytes, found: os.stat_result) -> Iterator[bytes | list[bytes]]:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
        try:
            fd = self._kernel.openat2(parent, tail, flags, resolve=_WITHIN)
        except SyscallError as error:
            if error.errno != errno.EXDEV:
                raise
            self._skipped(shown(name), "a mount point")
            yield from header(name + b"/", found, b"", {})
            return
        try:
            place = f"/proc/self/fd/{fd}"
            yield from header(name + b"/", found, b"", _xattrs(place, follow=True))
            if self._overlay and any(_xattr(place, mark) == b"y" for mark in _OPAQUE_XATTRS):
                yield block(name + b"/" + OPAQUE, found, b"0", 0, mode=0, mtime=0)
            yield self._children(fd, name)
        finally:
            os.close(fd)

    def _file(self, parent: int, name: bytes, tail: bytes, listed: os.stat_result) -> Iterator[bytes]:
        # the tree may be somebody's live directory: what was a file a moment ago may be a FIFO now
        fd = os.open(tail, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        try:
            found = os.fstat(fd)
            if not os.path.samestat(found, listed):
                self._skipped(shown(name), "replaced while the tree was read")
                return
            yield from header(name, found, b"", _xattrs(f"/proc/self/fd/{fd}", follow=True))
            left = found.st_size
            while left:
                data = os.read(fd, min(left, _CHUNK))
                if not data:
                    raise Conflict(f'{self._path}: "{shown(name)}" shrank while it was read')
                left -= len(data)
                yield data
            if padding := -found.st_size % BLOCK:
                yield bytes(padding)
        finally:
            os.close(fd)


def _xattrs(place: str | bytes, *, follow: bool) -> dict[str, bytes]:
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError:
        return {}
    kept = [name for name in names if name.startswith(_KEPT) and not name.startswith(_DROPPED)]
    return {name: os.getxattr(place, name, follow_symlinks=follow) for name in kept}


def _xattr(place: str, name: str) -> bytes:
    try:
        return os.getxattr(place, name)
    except OSError:
        return b""

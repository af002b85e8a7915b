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
from runtime.images.tarheader import LARGEST_ID, LARGEST_NUMBER, NAME, block, header
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
        self._writer = _Writer(path, overlay, skipped or (lambda _path, _why: None), kernel)
        self._chunks = self._writer.tree()
        self._rest: bytes | memoryview = b""

    def readable(self) -> bool:
        return True

    @property
    def content(self) -> int:
        """Bytes of file content so far, of a file with two names twice."""
        return self._writer.content

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
        self.content = 0
        self._linked: dict[tuple[int, int], bytes] = {}
        self._parent: tuple[bytes, int] = (b"", -1)
        """The directory of the entry before, which most often is that of the next one, and a descriptor of it."""

    def tree(self) -> Generator[bytes, None, None]:
        root = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield from header(b"./", os.fstat(root), b"", _xattrs(root))
            # names still to write, the next one last: depth is bounded by the disk, not by Python's recursion
            pending = self._children(root, b"")
            while pending:
                name, plain = pending.pop()
                small = self._small(root, name) if plain else None
                if small is not None:
                    yield small
                    continue
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

    def _children(self, fd: int, below: bytes) -> list[tuple[bytes, bool]]:
        """Names below the root, the first one last, and whether each is a regular file."""
        prefix = below + b"/" if below else b""
        with os.scandir(fd) as entries:
            found = [(prefix + os.fsencode(entry.name), entry.is_file(follow_symlinks=False)) for entry in entries]
        found.sort(reverse=True)
        return found

    def _small(self, root: int, name: bytes) -> bytes | None:
        """The whole of a small file's entry, if it is as almost all files are; None if it has to be looked at.

        Most layers are thousands of these: one piece of the stream and five system calls each.
        """
        head, _, tail = name.rpartition(b"/")
        if tail.startswith(WHITEOUT) or len(name) > NAME or not name.isascii():
            return None
        try:
            parent = self._open_parent(root, head)
            fd = os.open(tail, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        except (OSError, SyscallError):
            return None
        try:
            found = os.fstat(fd)
            size = found.st_size
            if not stat.S_ISREG(found.st_mode) or size >= _CHUNK or (found.st_uid | found.st_gid) > LARGEST_ID:
                return None
            if found.st_nlink > 1 and self._linked.setdefault((found.st_dev, found.st_ino), name) != name:
                return None
            mtime = found.st_mtime_ns // 1_000_000_000
            if not 0 <= mtime <= LARGEST_NUMBER or _xattrs(fd):
                return None
            data = os.read(fd, size) if size else b""
            if len(data) < size:
                return None
        finally:
            os.close(fd)
        self.content += size
        first = block(name, found, b"0", size, mode=stat.S_IMODE(found.st_mode), mtime=mtime)
        return first + data + bytes(-size % BLOCK)

    def _entry(self, root: int, name: bytes) -> Iterator[bytes | list[tuple[bytes, bool]]]:
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

    def _object(
        self, parent: int, name: bytes, tail: bytes, found: os.stat_result
    ) -> Iterator[bytes | list[tuple[bytes, bool]]]:
        path = f"/proc/self/fd/{parent}/".encode() + tail
        if stat.S_ISDIR(found.st_mode):
            yield from self._directory(parent, name, tail, found)
        elif stat.S_ISSOCK(found.st_mode):
            self._skipped(shown(name), "a socket")
        elif found.st_nlink > 1 and (first := self._linked.setdefault((found.st_dev, found.st_ino), name)) != name:
            self.content += found.st_size
            yield from header(name, found, first, {}, typeflag=b"1")
        elif stat.S_ISREG(found.st_mode):
            yield from self._file(parent, name, tail, found)
        else:
            link = os.readlink(tail, dir_fd=parent) if stat.S_ISLNK(found.st_mode) else b""
            yield from header(name, found, link, _xattrs(path))

    def _directory(
        self, parent: int, name: bytes, tail: bytes, found: os.stat_result
    ) -> Iterator[bytes | list[tuple[bytes, bool]]]:
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
            yield from header(name + b"/", found, b"", _xattrs(fd))
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
            yield from header(name, found, b"", _xattrs(fd))
            self.content += found.st_size
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


def _xattrs(place: int | bytes) -> dict[str, bytes]:
    """Of an open file or directory, or of what a path names itself."""
    follow = isinstance(place, int)
    try:
        names = os.listxattr(place, follow_symlinks=follow)
    except OSError:
        return {}
    if not names:
        return {}
    kept = [name for name in names if name.startswith(_KEPT) and not name.startswith(_DROPPED)]
    return {name: os.getxattr(place, name, follow_symlinks=follow) for name in kept}


def _xattr(place: str, name: str) -> bytes:
    try:
        return os.getxattr(place, name)
    except OSError:
        return b""

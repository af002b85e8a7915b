"""Unpack a layer onto a directory in overlayfs form, without trusting a single name in it.

Whiteouts become character devices 0:0 and opaque directories an extended attribute, so that the directory is a lower
layer as it stands. Nothing is written through a link: what is in the way is removed, what is made is made exclusively.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidParameter, SystemFailure
from runtime.images.confined import Confined, components, is_whiteout, lstat
from runtime.images.tarstream import Entry, TarReader, shown
from runtime.linux.constants import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS
from runtime.linux.syscalls import KERNEL
from runtime.linux.treeremoval import remove_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from runtime.images.compression import Readable
    from runtime.linux.syscalls import Kernel

WHITEOUT: Final = b".wh."
AUFS: Final = b".wh..wh."
"""Book-keeping of the file system that whiteouts come from; only OPAQUE of it means anything."""
OPAQUE: Final = AUFS + b".opq"
_ZEROS: Final = bytes(1 << 18)
_KEPT_TRUSTED: Final = (b"security.", b"user.", b"system.posix_acl_")
_DROPPED: Final = (b"user.overlay.", b"security.selinux", b"security.ima", b"security.evm")
_NODE_TYPES: Final = {"char": stat.S_IFCHR, "block": stat.S_IFBLK, "fifo": stat.S_IFIFO}
_TIME_RANGE: Final = 1 << 34


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one layer may become on disk."""

    max_bytes: int = 1 << 40
    max_entries: int = 10_000_000


@dataclass(frozen=True, kw_only=True)
class Unpacked:
    """`size`: bytes of file content, `entries`: members of the archive."""

    size: int
    entries: int
    implied: tuple[bytes, ...] = ()
    """Directories that the layer needs but does not describe, parents first: see lend."""


def unpack_layer(
    stream: Readable,
    target: str,
    *,
    lowers: Sequence[str] = (),
    limits: Limits = Limits(),
    flat: bool = False,
    user_xattrs: bool = False,
    progress: Callable[[int], None] | None = None,
    kernel: Kernel = KERNEL,
) -> Unpacked:
    """Unpack a plain tar stream onto the empty directory `target` and read the stream to its end.

    `lowers` (top first) lend their modes and owners to directories that the layer does not carry itself.
    `flat`: `target` already holds the layers below and whiteouts delete from it, instead of being kept as marks.
    `user_xattrs`: mark opaque directories for overlayfs's unprivileged mode. `progress` gets the bytes written so far.
    Raises InvalidParameter for what no layer may hold, OSError or SystemFailure for what the disk refuses.
    """
    unpacker = _Unpacker(target, limits, b"user" if user_xattrs else b"trusted", flat=flat, kernel=kernel)
    try:
        reader = TarReader(stream)
        for entry in reader:
            unpacker.add(entry, reader)
            if progress is not None:
                progress(unpacker.size)
        reader.drain()
        unpacker.finish()
        implied = tuple(unpacker.implied)
        lend(target, implied, lowers, kernel)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise SystemFailure(f"{target}: {os.strerror(error.errno).lower()}", errno=error.errno) from error
        raise
    finally:
        unpacker.close()
    return Unpacked(size=unpacker.size, entries=unpacker.entries, implied=implied)


def lend(target: str, implied: Sequence[bytes], lowers: Sequence[str], kernel: Kernel = KERNEL) -> None:
    """Give directories of the layer `target` that it does not describe the looks they have in `lowers` (top first).

    For layers that were unpacked before those below them were there. Raises OSError.
    """
    if not implied or not lowers:
        return
    root = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in implied:
            model = _look_below(lowers, path, kernel)
            fd = None if model is None else _directory_in(root, path, kernel)
            if model is None or fd is None:
                continue
            place = f"/proc/self/fd/{fd}"
            os.chown(place, model.st_uid, model.st_gid)
            os.chmod(place, stat.S_IMODE(model.st_mode))
            _set_time(place, int(model.st_mtime))
            os.close(fd)
    finally:
        os.close(root)


def _look_below(lowers: Sequence[str], path: bytes, kernel: Kernel) -> os.stat_result | None:
    for lower in lowers:
        root = os.open(lower, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = _directory_in(root, path, kernel)
        finally:
            os.close(root)
        if fd is not None:
            found = os.fstat(fd)
            os.close(fd)
            return found
    return None


def _directory_in(root: int, path: bytes, kernel: Kernel) -> int | None:
    try:
        return kernel.openat2(root, path, os.O_PATH | os.O_DIRECTORY, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)
    except SystemFailure:
        return None


class _Unpacker:
    def __init__(self, target: str, limits: Limits, domain: bytes, *, flat: bool, kernel: Kernel) -> None:
        self._kernel = kernel
        self._flat = flat
        self._root = Confined(target, kernel, self._implied_directory)
        self._limits = limits
        self._opaque = domain + b".overlay.opaque"
        self._times: dict[bytes, int] = {}
        self.implied: dict[bytes, None] = {}
        self.size = 0
        self.entries = 0

    def close(self) -> None:
        self._root.close()

    def add(self, entry: Entry, reader: TarReader) -> None:
        self.entries += 1
        if self.entries > self._limits.max_entries:
            raise InvalidParameter(f"layer has more than {self._limits.max_entries} entries")
        parts = components(entry.name, "entry name")
        if not parts:
            self._root_directory(entry)
            return
        if any(part.startswith(AUFS) for part in parts) and parts[-1] != OPAQUE:
            return
        if any(part.startswith(WHITEOUT) for part in parts[:-1]):
            raise InvalidParameter(f'layer entry "{shown(entry.name)}": invalid entry name: below a whiteout')
        dir_fd = self._root.parent(parts)
        if parts[-1].startswith(WHITEOUT):
            self._whiteout(dir_fd, parts, entry)
            return
        try:
            self._make(entry, reader, dir_fd, parts)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = os.strerror(error.errno or 0).lower()
            raise SystemFailure(f'layer entry "{shown(entry.name)}": {reason}', errno=error.errno) from error

    def finish(self) -> None:
        """Set the times of directories, which every later entry in them has changed."""
        for path, mtime in self._times.items():
            try:
                fd = self._root.lookup(path)
            except InvalidParameter:
                continue  # a later entry replaced the directory
            if fd is not None:
                _set_time(f"/proc/self/fd/{fd}", mtime)
                os.close(fd)

    def _root_directory(self, entry: Entry) -> None:
        if entry.kind != "dir":
            raise InvalidParameter(f'layer entry "{shown(entry.name)}": invalid entry name: the root itself')
        self._directory_metadata(self._root.fd, entry)
        self._times[b"."] = entry.mtime

    def _whiteout(self, dir_fd: int, parts: list[bytes], entry: Entry) -> None:
        name = parts[-1]
        if name == OPAQUE:
            self._set_opaque(dir_fd)
            return
        hidden = name[len(WHITEOUT) :]
        if hidden in (b"", b".", b".."):
            raise InvalidParameter(f'layer entry "{shown(entry.name)}": invalid whiteout entry')
        found = lstat(dir_fd, hidden)
        if self._flat:
            if found is not None:
                self._root.remove(dir_fd, hidden, found)
        elif found is None:
            os.mknod(hidden, stat.S_IFCHR, 0, dir_fd=dir_fd)
        elif stat.S_ISDIR(found.st_mode):
            # a whiteout hides what is below this layer only
            fd = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
            self._set_opaque(fd)
            os.close(fd)

    def _make(self, entry: Entry, reader: TarReader, dir_fd: int, parts: list[bytes]) -> None:
        name = parts[-1]
        found = lstat(dir_fd, name)
        if entry.kind == "hardlink":
            self._hard_link(entry, dir_fd, parts, found)
            return
        if entry.kind == "dir":
            self._directory(entry, dir_fd, parts, found)
            return
        if found is not None:
            self._root.remove(dir_fd, name, found)
        if entry.kind == "file":
            self._file(entry, reader, dir_fd, name)
            return
        path = f"/proc/self/fd/{dir_fd}/".encode() + name
        if entry.kind == "symlink":
            os.symlink(entry.link, name, dir_fd=dir_fd)
        else:
            device = os.makedev(entry.devmajor, entry.devminor) if entry.kind != "fifo" else 0
            os.mknod(name, _NODE_TYPES[entry.kind], device, dir_fd=dir_fd)
        os.lchown(path, entry.uid, entry.gid)
        if entry.kind != "symlink":
            os.chmod(path, entry.mode)  # not by mknod, which asks the umask
        _set_xattrs(path, entry)
        _set_time(path, entry.mtime)

    def _file(self, entry: Entry, reader: TarReader, dir_fd: int, name: bytes) -> None:
        self.size += entry.stored
        if self.size > self._limits.max_bytes:
            raise InvalidParameter(f"layer is larger than {self._limits.max_bytes} bytes")
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=dir_fd)
        try:
            if entry.sparse is None:
                _copy(reader, fd, entry.size)
            else:
                for offset, length in entry.sparse:
                    os.lseek(fd, offset, os.SEEK_SET)
                    _copy(reader, fd, length)
            if os.fstat(fd).st_size != entry.size:
                os.ftruncate(fd, entry.size)
            os.fchown(fd, entry.uid, entry.gid)
            os.fchmod(fd, entry.mode)
            _set_xattrs(fd, entry)
            _set_time(fd, entry.mtime)
        finally:
            os.close(fd)

    def _directory(self, entry: Entry, dir_fd: int, parts: list[bytes], found: os.stat_result | None) -> None:
        name = parts[-1]
        hides = found is not None and is_whiteout(found)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            self._root.remove(dir_fd, name, found)
            found = None
        if found is None:
            os.mkdir(name, 0o700, dir_fd=dir_fd)
        fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            self._directory_metadata(fd, entry)
            if hides:
                self._set_opaque(fd)
        finally:
            os.close(fd)
        self._times[b"/".join(parts)] = entry.mtime
        self.implied.pop(b"/".join(parts), None)

    def _directory_metadata(self, fd: int, entry: Entry) -> None:
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        _set_xattrs(fd, entry)

    def _hard_link(self, entry: Entry, dir_fd: int, parts: list[bytes], found: os.stat_result | None) -> None:
        wanted = components(entry.link, "hard link target")
        if not wanted:
            raise InvalidParameter(f'layer entry "{shown(entry.name)}": invalid hard link target')
        source_fd = self._root.lookup(b"/".join(wanted[:-1]) or b".")
        target = None if source_fd is None else lstat(source_fd, wanted[-1])
        try:
            if source_fd is None or target is None or stat.S_ISDIR(target.st_mode) or is_whiteout(target):
                raise InvalidParameter(
                    f'layer entry "{shown(entry.name)}": hard link target "{shown(entry.link)}" is not in the layer'
                )
            if found is not None:
                if os.path.samestat(found, target):
                    return
                self._root.remove(dir_fd, parts[-1], found)
            os.link(wanted[-1], parts[-1], src_dir_fd=source_fd, dst_dir_fd=dir_fd, follow_symlinks=False)
        finally:
            if source_fd is not None:
                os.close(source_fd)

    def _implied_directory(self, dir_fd: int, parts: list[bytes], found: os.stat_result | None) -> None:
        """Make a directory that the layer needs but does not describe; how it looks further below is seen to later."""
        if found is not None:
            os.unlink(parts[-1], dir_fd=dir_fd)
        os.mkdir(parts[-1], 0o755, dir_fd=dir_fd)
        fd = os.open(parts[-1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd)
        try:
            os.fchmod(fd, 0o755)
            if found is not None:
                self._set_opaque(fd)
            else:
                self.implied[b"/".join(parts)] = None
        finally:
            os.close(fd)

    def _set_opaque(self, fd: int) -> None:
        if self._flat:
            for name in os.listdir(f"/proc/self/fd/{fd}"):
                remove_at(fd, name, self._kernel)
            return
        os.setxattr(f"/proc/self/fd/{fd}", self._opaque, b"y")


def _copy(reader: TarReader, fd: int, size: int) -> None:
    """Copy `size` bytes of the current entry; whole chunks of zeros become holes."""
    while size:
        data = reader.read(min(size, len(_ZEROS)))
        if not data:
            raise InvalidParameter("archive: unexpected end of data")
        size -= len(data)
        if len(data) >= 4096 and data == _ZEROS[: len(data)]:
            os.lseek(fd, len(data), os.SEEK_CUR)
            continue
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]


def _set_xattrs(target: int | bytes, entry: Entry) -> None:
    for name, value in entry.xattrs.items():
        if not name.startswith(_KEPT_TRUSTED) or name.startswith(_DROPPED):
            continue
        place = f"/proc/self/fd/{target}" if isinstance(target, int) else target
        try:
            os.setxattr(place, name, value, follow_symlinks=isinstance(target, int))
        except OSError as error:
            # a file system without such attributes; user.* on what is neither file nor directory
            if error.errno == errno.ENOTSUP or (error.errno == errno.EPERM and name.startswith(b"user.")):
                continue
            raise InvalidParameter(
                f'layer entry "{shown(entry.name)}": extended attribute "{shown(name)}": '
                f"{os.strerror(error.errno or 0).lower()}"
            ) from error


def _set_time(target: int | str | bytes, mtime: int) -> None:
    seconds = max(-_TIME_RANGE, min(mtime, _TIME_RANGE))
    if isinstance(target, bytes):
        os.utime(target, (seconds, seconds), follow_symlinks=False)
    else:
        os.utime(target, (seconds, seconds))

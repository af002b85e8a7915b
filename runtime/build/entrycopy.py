"""Copy entries from directory to directory, by descriptor, with their metadata and links between them.

A file that an earlier layer of the same instruction has already, alike in all, becomes another name of that layer's file:
layers never change, and to make ten thousand files takes twenty times as long as to name them.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from runtime.build.trees import Node

_SMALL: Final = 1 << 16
_CHUNK: Final = 1 << 24
DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NOTHING: Final = -1
_NOT_BETWEEN_THESE: Final = (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""What copy_file_range says of two file systems that it cannot copy between."""


class How(NamedTuple):
    """What COPY's flags ask for."""

    owner: tuple[int, int] | None = None
    """--chown, else None: as in the source."""
    mode: Callable[[int, bool], int] | None = None
    """--chmod: the new mode of an old one, given whether it is a directory."""


class Earlier(NamedTuple):
    """What an earlier layer holds: a directory of it, and what each file below is (see `likeness`) by its path there."""

    directory: int
    files: Mapping[str, str]


class EntryCopier:
    """Copies entries. `changed` says whether a file was no longer what had been digested."""

    def __init__(self, source_owner: tuple[int, int] | None, how: How, earlier: Earlier | None = None) -> None:
        self._owner = how.owner if how.owner is not None else source_owner
        self._mode = how.mode
        self._links: dict[tuple[int, int], tuple[int, str]] = {}
        self._known = earlier.files if earlier is not None else {}
        self._earlier = earlier.directory if earlier is not None else _NOTHING
        self.changed = False

    def close(self) -> None:
        """Forget where files with several names were put."""
        for directory, _ in self._links.values():
            os.close(directory)
        self._links.clear()

    def children(self, source: int, nodes: Sequence[Node], target: int) -> None:
        """Copy entries of the directory `source` into `target`. Raises InvalidParameter, OSError."""
        self._children(source, nodes, target, self._earlier, "")

    def entry(self, source: int, node: Node, target: int, name: str) -> None:
        """Copy one entry to `target` under another name; what is in the way of a file goes."""
        self._entry(source, node, target, name, _NOTHING, "")

    def _children(self, source: int, nodes: Sequence[Node], target: int, earlier: int, below: str) -> None:
        for node in nodes:
            self._entry(source, node, target, node.name, earlier, f"{below}/{node.name}")

    def _entry(self, source: int, node: Node, target: int, name: str, earlier: int, path: str) -> None:
        mode = node.stat.st_mode
        if stat.S_ISDIR(mode):
            self._directory(source, node, target, name, earlier, path)
        elif stat.S_ISREG(mode):
            if earlier < 0 or not self._take_over(node, target, name, earlier, path):
                self._file(source, node, target, name)
        elif stat.S_ISLNK(mode):
            _clear(target, name)
            os.symlink(node.link, name, dir_fd=target)
            self._name_metadata(node, target, name)
        else:
            _clear(target, name)
            os.mknod(name, mode, node.stat.st_rdev, dir_fd=target)
            self._name_metadata(node, target, name)
            os.chmod(name, self._new_mode(mode, directory=False), dir_fd=target)

    def _directory(self, source: int, node: Node, target: int, name: str, earlier: int, path: str) -> None:
        try:
            os.mkdir(name, 0o755, dir_fd=target)
            made = True
        except FileExistsError:
            made = False
        try:
            there = os.open(name, DIRECTORY, dir_fd=target)
        except OSError as error:
            raise InvalidParameter(f"cannot copy to non-directory: {name}") from error
        before = _open_if_there(earlier, name)
        try:
            here = os.open(node.name, DIRECTORY, dir_fd=source)
            try:
                self._children(here, node.children or (), there, before, path)
            finally:
                os.close(here)
            if made or node.wanted:
                self.metadata(node, there)
        finally:
            os.close(there)
            if before >= 0:
                os.close(before)

    def _take_over(self, node: Node, target: int, name: str, earlier: int, path: str) -> bool:
        """Name the earlier layer's file, if it is alike in content, mode, owner and time."""
        if not may_be_shared(node) or self._known.get(path) != likeness(node, self._owner, self._mode):
            return False
        try:
            os.link(node.name, name, src_dir_fd=earlier, dst_dir_fd=target, follow_symlinks=False)
        except OSError:
            return False  # something is there, or the file has as many names as it can have
        return True

    def _file(self, source: int, node: Node, target: int, name: str) -> None:
        found = node.stat
        if found.st_nlink > 1:
            first = self._links.get((found.st_dev, found.st_ino))
            if first is not None:
                _clear(target, name)
                os.link(first[1], name, src_dir_fd=first[0], dst_dir_fd=target, follow_symlinks=False)
                return
            self._links[found.st_dev, found.st_ino] = (os.dup(target), name)
        fd = os.open(node.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
        try:
            mode = self._new_mode(found.st_mode, directory=False)
            new = _create(target, name, mode)
            try:
                _content(fd, new, found.st_size)
                self._file_metadata(node, new, mode)
            finally:
                os.close(new)
            now = os.fstat(fd)
            if (now.st_size, now.st_mtime_ns, now.st_ino) != (found.st_size, found.st_mtime_ns, found.st_ino):
                self.changed = True
        finally:
            os.close(fd)

    def _file_metadata(self, node: Node, fd: int, mode: int) -> None:
        owner = self._owner if self._owner is not None else (node.stat.st_uid, node.stat.st_gid)
        if owner != (0, 0):
            os.fchown(fd, *owner)
        if owner != (0, 0) or mode & ~0o777:
            os.fchmod(fd, mode)  # a change of owner takes the setuid bit
        for name, value in node.xattrs.items():
            os.setxattr(fd, name, value)
        os.utime(fd, ns=(node.stat.st_mtime_ns, node.stat.st_mtime_ns))

    def metadata(self, node: Node, fd: int) -> None:
        """Owner, mode, attributes and time of a directory that has been filled."""
        owner = self._owner if self._owner is not None else (node.stat.st_uid, node.stat.st_gid)
        os.fchown(fd, *owner)
        os.fchmod(fd, self._new_mode(node.stat.st_mode, directory=True))
        for name, value in node.xattrs.items():
            os.setxattr(fd, name, value)
        os.utime(fd, ns=(node.stat.st_mtime_ns, node.stat.st_mtime_ns))

    def _name_metadata(self, node: Node, target: int, name: str) -> None:
        owner = self._owner if self._owner is not None else (node.stat.st_uid, node.stat.st_gid)
        os.chown(name, *owner, dir_fd=target, follow_symlinks=False)
        stamp = node.stat.st_mtime_ns
        os.utime(name, ns=(stamp, stamp), dir_fd=target, follow_symlinks=False)

    def _new_mode(self, mode: int, *, directory: bool) -> int:
        plain = stat.S_IMODE(mode)
        return plain if self._mode is None else self._mode(plain, directory)


def may_be_shared(node: Node) -> bool:
    """Whether a regular file may get its other name in another layer: it has no attributes and no other name in its own."""
    return not node.xattrs and node.stat.st_nlink == 1 and node.digest != ""


def likeness(node: Node, owner: tuple[int, int] | None, mode: Callable[[int, bool], int] | None) -> str:
    """All that a copy of a file is: content, mode, owner and time. `owner` and `mode`: what they become, if not the same."""
    found = node.stat
    uid, gid = owner if owner is not None else (found.st_uid, found.st_gid)
    bits = found.st_mode & 0o7777
    if mode is not None:
        bits = mode(bits, False)
    return f"{node.digest} {bits:o} {uid}:{gid} {found.st_mtime_ns}"


def files_of(nodes: Sequence[Node], source_owner: tuple[int, int] | None, how: How, below: str = "") -> dict[str, str]:
    """What all regular files below are that may be shared, by path: what Earlier wants to know of a layer."""
    owner = how.owner if how.owner is not None else source_owner
    found: dict[str, str] = {}
    for node in nodes:
        path = f"{below}/{node.name}"
        if node.children is not None:
            found |= files_of(node.children, source_owner, how, path)
        elif may_be_shared(node):
            found[path] = likeness(node, owner, how.mode)
    return found


def _create(directory: int, name: str, mode: int) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(name, flags, mode, dir_fd=directory)
    except FileExistsError:
        _clear(directory, name)
        return os.open(name, flags, mode, dir_fd=directory)


def _open_if_there(directory: int, name: str) -> int:
    if directory < 0:
        return _NOTHING
    try:
        return os.open(name, DIRECTORY, dir_fd=directory)
    except OSError:
        return _NOTHING


def _content(source: int, target: int, size: int) -> None:
    if size <= _SMALL:
        while data := os.read(source, _SMALL):
            view = memoryview(data)
            while view:
                view = view[os.write(target, view) :]
            if len(data) < _SMALL:
                return
        return
    try:
        while os.copy_file_range(source, target, _CHUNK):
            pass
    except OSError as error:
        if error.errno not in _NOT_BETWEEN_THESE:
            raise
        while os.sendfile(target, source, None, _CHUNK):  # goes on where the other has stopped
            pass


def _clear(directory: int, name: str) -> None:
    """Remove what a file is to replace; raises InvalidParameter for a directory."""
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError) as error:
        if stat.S_ISDIR(os.lstat(name, dir_fd=directory).st_mode):
            raise InvalidParameter(f"cannot replace to directory {name} with file") from error
        raise

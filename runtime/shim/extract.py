"""Change files inside a container from a process that is in its mount namespace and runs nothing of its image.

The archive and the tree are both a stranger's: every name is resolved with RESOLVE_IN_ROOT, nothing that exists is ever
opened for writing (a new file is made beside it and renamed over it, so that a reader sees the old or the new one).
"""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter, NotFound, SyscallError
from runtime.images.tarstream import TarReader, shown
from runtime.linux import saferesolve
from runtime.linux.treeremoval import remove_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from runtime.images.compression import Readable
    from runtime.images.tarstream import Entry
    from runtime.linux.syscalls import Kernel

MAX_FAILURES = 20
"""So many are named; the others are counted."""
_NAME_MAX = 255
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_PATH | os.O_DIRECTORY
_SPECIAL = {"fifo": stat.S_IFIFO, "char": stat.S_IFCHR, "block": stat.S_IFBLK}
ROOT = _DIRECTORY | os.O_CLOEXEC
"""How the root directory is to be opened."""


class Extraction:
    """One run: deletions first, then the archive; what fails is noted and the rest goes on."""

    __slots__ = (
        *("_kernel", "_owner", "_parent", "_parent_path", "_root", "_strict"),
        *("deleted", "failed", "failures", "written"),
    )

    def __init__(
        self, kernel: Kernel, root: int, *, strict: bool = False, owner: tuple[int, int] | None = None
    ) -> None:
        """`root`: a descriptor of the container's root directory. `owner` (uid, gid) instead of what the archive says.

        With `strict` the archive goes into a directory that exists, no directory gives way to something else, and
        pipes and devices are made.
        """
        self._kernel = kernel
        self._root = root
        self._strict = strict
        self._owner = owner
        self._parent = -1
        self._parent_path = ""
        self.written = 0
        self.deleted = 0
        self.failed = 0
        self.failures: list[dict[str, str]] = []

    def delete(self, paths: Iterable[str]) -> None:
        """Remove each path with all below it; one that is not there is fine, a mount point stays."""
        for path in paths:
            self._try(path, partial(self._delete, path))
        self._forget()

    def unpack(self, path: str, stream: Readable) -> None:
        """Put the entries of a tar stream below the directory `path`.

        Raises InvalidParameter for what is not tar, and if `strict` for what is no directory, NotFound.
        """
        if self._strict:
            self._check_directory(path)
        above = [part for part in path.split("/") if part not in ("", ".")] if self._strict else _components(path)
        reader = TarReader(stream)
        for entry in reader:
            if self._owner is not None:
                entry.uid, entry.gid = self._owner
            target = "/".join([*above, *_components(os.fsdecode(entry.name))])
            self._try(f"/{target}", partial(self._put, entry, target, above, reader))
        reader.drain()
        self._forget()

    def outcome(self) -> dict[str, Any]:
        """What was done, for the client."""
        return {"Written": self.written, "Deleted": self.deleted, "Failed": self.failed, "Failures": self.failures}

    def _try(self, path: str, work: Callable[[], None]) -> None:
        try:
            work()
        except (OSError, EngineError) as error:
            self.failed += 1
            if len(self.failures) < MAX_FAILURES:
                self.failures.append({"Path": path, "Error": _reason(error)})

    def _delete(self, path: str) -> None:
        *above, name = _components(path) or [""]
        if not name:
            raise InvalidParameter("the root directory cannot be deleted")
        parent = saferesolve.open_if_there(self._kernel, self._root, "/".join(above) or ".", _DIRECTORY)
        if parent is None:
            return
        try:
            if _lstat(parent, name) is None:
                return
            kept = remove_at(parent, name, self._kernel, path=path)
        finally:
            os.close(parent)
        if kept:
            raise InvalidParameter(f"{kept[0]} cannot be removed: a mount point, or read-only")
        self.deleted += 1

    def _check_directory(self, path: str) -> None:
        found = saferesolve.open_if_there(self._kernel, self._root, path)
        if found is None:
            raise NotFound(f"could not find the file {shown(os.fsencode(path))}", path=path)
        is_directory = stat.S_ISDIR(os.fstat(found).st_mode)
        os.close(found)
        if not is_directory:
            raise InvalidParameter(f"{shown(os.fsencode(path))}: not a directory", path=path)

    def _put(self, entry: Entry, target: str, above: list[str], reader: TarReader) -> None:
        if target == "/".join(above):
            return  # the directory it goes to
        holder, _, name = target.rpartition("/")
        parent = self._open_parent(holder)
        if entry.kind != "dir" and self._strict:
            self._check_replaceable(parent, name, target)
        if entry.kind == "dir":
            self._directory(parent, name, entry, target)
        elif entry.kind == "file" and entry.sparse is None:
            self._file(parent, name, entry, reader)
        elif entry.kind == "hardlink":
            self._hard_link(parent, name, "/".join([*above, *_components(os.fsdecode(entry.link))]))
        elif entry.kind == "symlink" or (self._strict and entry.kind in _SPECIAL):
            self._replace(parent, name, partial(_make_special, parent, entry))
        else:
            raise InvalidParameter(f'"{entry.kind or "sparse"}" entries are not taken')
        self.written += 1

    def _check_replaceable(self, parent: int, name: str, target: str) -> None:
        found = _lstat(parent, name)
        if found is not None and stat.S_ISDIR(found.st_mode):
            raise InvalidParameter(f'cannot overwrite directory "/{target}" with non-directory')

    def _hard_link(self, parent: int, name: str, target: str) -> None:
        above, _, other = target.rpartition("/")
        source = saferesolve.open_in_root(self._kernel, self._root, above, _DIRECTORY)
        try:
            self._replace(
                parent,
                name,
                lambda temporary: os.link(
                    other, temporary, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False
                ),
            )
        finally:
            os.close(source)

    def _directory(self, parent: int, name: str, entry: Entry, target: str) -> None:
        found = _lstat(parent, name)
        if found is not None and not stat.S_ISDIR(found.st_mode):
            if stat.S_ISLNK(found.st_mode) and self._leads_to_directory(parent, name):
                return
            if self._strict:
                raise InvalidParameter(f'cannot overwrite non-directory "/{target}" with directory')
            remove_at(parent, name, self._kernel)
            found = None
        if found is None:
            os.mkdir(name, 0o700, dir_fd=parent)
            os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
            os.chmod(name, entry.mode, dir_fd=parent)
        self._forget()

    def _leads_to_directory(self, parent: int, name: str) -> bool:
        path = f"{self._parent_path}/{name}" if parent == self._parent else name
        fd = saferesolve.open_if_there(self._kernel, self._root, path, _DIRECTORY)
        if fd is None:
            return False
        os.close(fd)
        return True

    def _file(self, parent: int, name: str, entry: Entry, reader: TarReader) -> None:
        def make(temporary: str) -> None:
            fd = os.open(temporary, _NEW, 0o600, dir_fd=parent)
            try:
                _copy(reader, fd)
                os.fchown(fd, entry.uid, entry.gid)
                os.fchmod(fd, entry.mode)
                os.utime(fd, (entry.mtime, entry.mtime))
            finally:
                os.close(fd)

        self._replace(parent, name, make)

    def _replace(self, parent: int, name: str, make: Callable[[str], None]) -> None:
        """Make something under a name nobody has, and put it in the place of what is called `name`."""
        temporary = f".{name[: _NAME_MAX // 4]}.{os.urandom(6).hex()}"
        try:
            make(temporary)
            try:
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
            except (IsADirectoryError, NotADirectoryError):
                kept = remove_at(parent, name, self._kernel)
                if kept:
                    raise InvalidParameter(f"{kept[0]} cannot be removed: a mount point, or read-only") from None
                os.rename(temporary, name, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            # after an error, and where both were names of one file: then rename does nothing
            try:
                os.unlink(temporary, dir_fd=parent)
            except OSError:
                pass

    def _open_parent(self, path: str) -> int:
        if self._parent >= 0 and path == self._parent_path:
            return self._parent
        self._forget()
        self._parent = saferesolve.make_directory(self._kernel, self._root, path or ".")
        self._parent_path = path
        return self._parent

    def _forget(self) -> None:
        if self._parent >= 0:
            os.close(self._parent)
        self._parent = -1


def _components(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidParameter(f'path "{shown(os.fsencode(path))}": contains ".."')
    return parts


def _lstat(parent: int, name: str) -> os.stat_result | None:
    try:
        return os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return None


def _make_special(parent: int, entry: Entry, temporary: str) -> None:
    if entry.kind == "symlink":
        os.symlink(entry.link, temporary, dir_fd=parent)
        os.chown(temporary, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        return
    device = os.makedev(entry.devmajor, entry.devminor)
    os.mknod(temporary, _SPECIAL[entry.kind] | 0o600, device, dir_fd=parent)
    os.chown(temporary, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
    os.chmod(temporary, entry.mode, dir_fd=parent)  # just made by us under a name nobody has


def _copy(reader: TarReader, fd: int) -> None:
    while data := reader.read():
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]


def _reason(error: OSError | EngineError) -> str:
    number = error.errno if isinstance(error, (OSError, SyscallError)) else None
    if number == errno.EBUSY:
        return "it is mounted from elsewhere"
    if number:
        return os.strerror(number).lower()
    return error.message if isinstance(error, EngineError) else str(error)

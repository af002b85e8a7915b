"""Resolve and make paths inside a root that other processes may be changing meanwhile.

openat2 with RESOLVE_IN_ROOT bounds the walk in the kernel (`..` and symbolic links end at the root, magic links are
refused), so the result is an O_PATH descriptor that is inside by construction; whoever mounts uses that descriptor.
"""

from __future__ import annotations

import os
import stat
from errno import EEXIST, ELOOP, ENOENT, ENOTDIR, EROFS
from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidParameter, SyscallError
from runtime.linux import constants as c

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

IN_ROOT: Final = c.RESOLVE_IN_ROOT | c.RESOLVE_NO_MAGICLINKS
_STRICT: Final = IN_ROOT | c.RESOLVE_NO_SYMLINKS
_DIRECTORY: Final = os.O_PATH | os.O_DIRECTORY
_MAX_LINKS: Final = 40
_MAX_TEXT: Final = 10 << 20
_NULL: Final = os.makedev(1, 3)


def open_in_root(kernel: Kernel, root: int, path: str, flags: int = os.O_PATH) -> int:
    """Open `path` (links followed) below the directory `root`; raises SyscallError."""
    return kernel.openat2(root, path.lstrip("/") or ".", flags, resolve=IN_ROOT)


def open_if_there(kernel: Kernel, root: int, path: str, flags: int = os.O_PATH) -> int | None:
    """Like open_in_root, None where there is no such path."""
    fd = kernel.try_openat2(root, path.lstrip("/") or ".", flags, resolve=IN_ROOT)
    if fd >= 0:
        return fd
    if fd in {-ENOENT, -ENOTDIR}:
        return None
    raise SyscallError("openat2", -fd, path)


def make_directory(kernel: Kernel, root: int, path: str, mode: int = 0o755) -> int:
    """An O_PATH descriptor of the directory `path` below `root`, made with its parents if absent."""
    fd = kernel.try_openat2(root, path.lstrip("/") or ".", _DIRECTORY, resolve=IN_ROOT)
    return _make_unless(fd, kernel, root, path, mode, file=False)


def make_file(kernel: Kernel, root: int, path: str, mode: int = 0o644) -> int:
    """An O_PATH descriptor of what is at `path` below `root`, an empty file made there if nothing is."""
    fd = kernel.try_openat2(root, path.lstrip("/"), os.O_PATH, resolve=IN_ROOT)
    return _make_unless(fd, kernel, root, path, mode, file=True)


def _make_unless(fd: int, kernel: Kernel, root: int, path: str, mode: int, *, file: bool) -> int:
    if fd >= 0:
        return fd
    if fd != -ENOENT:
        raise SyscallError("openat2", -fd, path)
    return _make(kernel, root, path, mode, file=file)


def make_target(kernel: Kernel, root: int, path: str, *, directory: bool) -> int:
    """A descriptor to mount on; raises InvalidParameter when what is there is of the wrong kind."""
    try:
        if directory:
            return make_directory(kernel, root, path)
        fd = make_file(kernel, root, path)
    except SyscallError as error:
        if error.errno == ENOTDIR:
            raise InvalidParameter(f"mount {path}: is a file in the image, the mount needs a directory") from error
        if error.errno == EROFS:
            raise InvalidParameter(f"mount {path}: is not there, and what is above it is read-only") from error
        raise
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise InvalidParameter(f"mount {path}: is a directory in the image, the source is a file")
    return fd


def _make(kernel: Kernel, root: int, path: str, mode: int, *, file: bool) -> int:
    """Make what is missing; in most cases only the last component is."""
    parent_path, _, name = path.strip("/").rpartition("/")
    if name not in {"", ".", ".."}:
        parent = kernel.try_openat2(root, parent_path or ".", _DIRECTORY, resolve=IN_ROOT)
        if parent >= 0:
            try:
                if _make_at(kernel, parent, name, mode, file=file):
                    return _open_made(kernel, parent, name, file=file)
            finally:
                os.close(parent)
    return _make_walking(kernel, root, path, mode, file=file)


def _open_made(kernel: Kernel, directory: int, path: str, *, file: bool) -> int:
    """Open what has just been made; a link in its place (O_PATH opens links themselves) was swapped in."""
    fd = kernel.openat2(directory, path, os.O_PATH | os.O_NOFOLLOW | (0 if file else os.O_DIRECTORY), resolve=_STRICT)
    if file and stat.S_ISLNK(os.fstat(fd).st_mode):
        os.close(fd)
        raise SyscallError("openat2", ELOOP, path)
    return fd


def _make_walking(kernel: Kernel, root: int, path: str, mode: int, *, file: bool) -> int:
    """Walk component by component, links read by hand; a swapped component is an error, never a way out."""
    pending = [part for part in path.split("/") if part and part != "."][::-1]
    done: list[str] = []
    links = 0
    while pending:
        part = pending.pop()
        if part == "..":
            del done[-1:]
            continue
        here = "/".join([*done, part])
        fd = kernel.try_openat2(root, here, os.O_PATH | os.O_NOFOLLOW, resolve=_STRICT)
        if fd == -ENOENT:
            _make_one(kernel, root, done, part, mode, file=file and not pending)
            done.append(part)
            continue
        if fd < 0:
            raise SyscallError("openat2", -fd, path)
        try:
            if not stat.S_ISLNK(os.fstat(fd).st_mode):
                done.append(part)
                continue
            target = os.readlink("", dir_fd=fd)
        finally:
            os.close(fd)
        links += 1
        if links > _MAX_LINKS:
            raise SyscallError("openat2", ELOOP, path)
        if target.startswith("/"):
            done.clear()
        pending += [name for name in target.split("/") if name and name != "."][::-1]
    return _open_made(kernel, root, "/".join(done) or ".", file=file)


def _make_one(kernel: Kernel, root: int, parents: list[str], name: str, mode: int, *, file: bool) -> None:
    parent = kernel.openat2(root, "/".join(parents) or ".", _DIRECTORY, resolve=_STRICT)
    try:
        _make_at(kernel, parent, name, mode, file=file)
    finally:
        os.close(parent)


def _make_at(kernel: Kernel, parent: int, name: str, mode: int, *, file: bool) -> bool:
    """False if something of that name is there."""
    try:
        if file:
            kernel.mknodat(parent, name, stat.S_IFREG | mode)
        else:
            kernel.mkdirat(parent, name, mode)
    except SyscallError as error:
        if error.errno != EEXIST:
            raise
        return False
    return True


def read_text(kernel: Kernel, root: int, path: str) -> str:
    """The text of a regular file below `root`, "" if there is none or /dev/null hides it.

    Any other device, a FIFO and 10 MiB or more are errors.
    """
    fd = open_if_there(kernel, root, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    if fd is None:
        return ""
    try:
        status = os.fstat(fd)
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == _NULL:
            return ""
        if not stat.S_ISREG(status.st_mode):
            raise InvalidParameter(f"{path}: not a regular file")
        if status.st_size > _MAX_TEXT:
            raise InvalidParameter(f"{path}: larger than {_MAX_TEXT >> 20} MiB")
        chunks = []
        while chunk := os.read(fd, 1 << 20):
            chunks.append(chunk)
        return b"".join(chunks).decode(errors="surrogateescape")
    finally:
        os.close(fd)

"""Make a tar stream of a file or a tree of this machine, in pieces as they are read."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from compose.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from tarfile import TarInfo

BLOCK: Final = 512
_CHUNK: Final = 256 * 1024
_PAX: Final = 2
"""The format of long names that tarfile calls PAX_FORMAT."""


class Source(NamedTuple):
    """What a path on the command line stands for."""

    path: str
    name: str
    """What it is called where it goes; "." for the content of a directory."""
    is_directory: bool


def source(path: str, *, follow: bool) -> Source:
    """The file or directory at the absolute `path`, whose trailing slash or dot counts. Raises ComposeError."""
    plain = path.rstrip("/") or "/"
    content = plain.endswith("/.") or plain == "/"
    name = "." if content else os.path.basename(plain)
    if follow or path != plain:
        plain = os.path.realpath(plain)
    try:
        status = os.lstat(plain)
    except OSError as error:
        raise ComposeError(f"lstat {plain}: {_reason(error)}") from error
    is_directory = stat.S_ISDIR(status.st_mode)
    if not is_directory and (content or path.endswith("/")):
        raise ComposeError(f"{path}: not a directory")
    return Source(plain, name, is_directory)


def pieces(path: str, name: str) -> Iterator[bytes]:
    """The tar stream of `path`, its names beginning with `name`. Raises ComposeError for what cannot be read."""
    linked: dict[tuple[int, int], str] = {}
    # what is still to be written, the next one last: depth is bounded by the disk, not by Python's recursion
    pending = [(path, name)]
    try:
        while pending:
            place, called = pending.pop()
            status = os.lstat(place)
            yield from _entry(place, called, status, linked)
            if stat.S_ISDIR(status.st_mode):
                pending += [(f"{place}/{each}", f"{called}/{each}") for each in sorted(os.listdir(place), reverse=True)]
    except OSError as error:
        raise ComposeError(f"{error.filename or path}: {_reason(error)}") from error
    yield bytes(2 * BLOCK)


def _entry(place: str, name: str, status: os.stat_result, linked: dict[tuple[int, int], str]) -> Iterator[bytes]:
    import tarfile

    kinds = {
        stat.S_IFREG: tarfile.REGTYPE,
        stat.S_IFDIR: tarfile.DIRTYPE,
        stat.S_IFLNK: tarfile.SYMTYPE,
        stat.S_IFIFO: tarfile.FIFOTYPE,
        stat.S_IFCHR: tarfile.CHRTYPE,
        stat.S_IFBLK: tarfile.BLKTYPE,
    }
    kind = kinds.get(stat.S_IFMT(status.st_mode))
    if kind is None:
        return  # a socket
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode, info.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
    info.uid, info.gid = status.st_uid, status.st_gid
    if kind == tarfile.SYMTYPE:
        info.linkname = os.readlink(place)
    elif kind in (tarfile.CHRTYPE, tarfile.BLKTYPE):
        info.devmajor, info.devminor = os.major(status.st_rdev), os.minor(status.st_rdev)
    elif kind == tarfile.REGTYPE:
        first = linked.setdefault((status.st_dev, status.st_ino), name) if status.st_nlink > 1 else name
        if first == name:
            yield from _file(place, info)
            return
        info.type, info.linkname = tarfile.LNKTYPE, first
    yield _header(info)


def _file(place: str, info: TarInfo) -> Iterator[bytes]:
    with open(place, "rb", buffering=0) as file:
        info.size = left = os.fstat(file.fileno()).st_size
        yield _header(info)
        while left and (data := file.read(min(left, _CHUNK))):
            left -= len(data)
            yield data
    # what was announced must be sent, also of a file that was cut meanwhile
    for size in range(left, 0, -_CHUNK):
        yield bytes(min(size, _CHUNK))
    yield bytes(-info.size % BLOCK)


def _header(info: TarInfo) -> bytes:
    return info.tobuf(_PAX, errors="surrogateescape")


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()

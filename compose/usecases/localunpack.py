"""Unpack a container's tar stream on this machine, where nothing of it can lead elsewhere.

The stream is a stranger's: below the directory it goes to no link is followed, nothing that exists is written into,
no device is made and no set-user-id bit is kept, for the files become the caller's.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any, Final

from compose.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from tarfile import TarFile, TarInfo

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MODES: Final = 0o1777
_CHUNK: Final = 256 * 1024


def unpack(pieces: Iterator[bytes], directory: str, called: str, name: str, warn: Callable[[str], None]) -> None:
    """Write the stream, whose names begin with `called`, into `directory` with `name` in that place ("" for none).

    Raises ComposeError, and what `pieces` raises.
    """
    import tarfile

    try:
        base = os.open(directory, _DIRECTORY & ~os.O_NOFOLLOW)
    except OSError as error:
        raise ComposeError(f"{directory}: {(error.strerror or str(error)).lower()}") from error
    try:
        with tarfile.open(fileobj=io.BufferedReader(_Reader(pieces), _CHUNK), mode="r|", errorlevel=0) as archive:
            _Unpacking(base, directory, called, name, warn).all(archive)
    except tarfile.TarError as error:
        raise ComposeError(f"{directory}: the container's archive cannot be read: {error}") from error
    finally:
        os.close(base)


class _Reader(io.RawIOBase):
    """Pieces as a file that is read from the front."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        view = memoryview(buffer)
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class _Unpacking:
    def __init__(self, base: int, directory: str, called: str, name: str, warn: Callable[[str], None]) -> None:
        self._base = base
        self._directory = directory
        self._called = called
        self._name = name
        self._warn = warn
        self._modes: list[tuple[list[str], TarInfo]] = []

    def all(self, archive: TarFile) -> None:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # it would keep every one
            parts = self._place(member.name)
            if not parts:
                continue
            try:
                self._one(archive, member, parts)
            except OSError as error:
                raise ComposeError(f"{self._shown(parts)}: {(error.strerror or str(error)).lower()}") from error
        for parts, member in reversed(self._modes):
            self._finish_directory(parts, member)

    def _place(self, name: str) -> list[str]:
        """The components of a name of the archive, below the directory it goes to."""
        begin, _, rest = name.partition("/")
        parts = [part for part in rest.split("/") if part not in ("", ".")]
        head = self._name or ("" if self._called == "." else self._called)
        if begin != self._called or ".." in (begin, *parts):
            raise ComposeError(f"the container's archive has an unexpected name: {name!r}")
        return [head, *parts] if head else parts

    def _shown(self, parts: list[str]) -> str:
        return "/".join([self._directory.rstrip("/"), *parts])

    def _one(self, archive: TarFile, member: TarInfo, parts: list[str]) -> None:
        if member.isdev() and not member.isfifo():
            self._warn(f"{self._shown(parts)}: device not copied")
            return
        parent = self._open(parts[:-1])
        try:
            if member.isdir():
                self._make_directory(parent, parts, member)
                return
            self._make_room(parent, parts)
            name = parts[-1]
            if member.issym():
                os.symlink(member.linkname, name, dir_fd=parent)
            elif member.islnk():
                self._hard_link(parent, name, self._place(member.linkname))
            elif member.isfifo():
                os.mkfifo(name, member.mode & _MODES, dir_fd=parent)
            elif member.isreg():
                self._file(archive, member, parent, name)
        finally:
            os.close(parent)

    def _open(self, parts: list[str]) -> int:
        fd = os.dup(self._base)
        for part in parts:
            try:
                deeper = os.open(part, _DIRECTORY, dir_fd=fd)
            finally:
                os.close(fd)
            fd = deeper
        return fd

    def _make_directory(self, parent: int, parts: list[str], member: TarInfo) -> None:
        try:
            os.mkdir(parts[-1], 0o700, dir_fd=parent)
        except FileExistsError:
            if not stat.S_ISDIR(os.lstat(parts[-1], dir_fd=parent).st_mode):
                raise ComposeError(
                    f'cannot overwrite non-directory "{self._shown(parts)}" with directory "{self._directory}"'
                ) from None
            return
        self._modes.append((parts, member))

    def _make_room(self, parent: int, parts: list[str]) -> None:
        try:
            os.unlink(parts[-1], dir_fd=parent)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            raise ComposeError(
                f'cannot overwrite directory "{self._shown(parts)}" with non-directory "{self._directory}"'
            ) from None

    def _hard_link(self, parent: int, name: str, target: list[str]) -> None:
        source = self._open(target[:-1])
        try:
            os.link(target[-1], name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        finally:
            os.close(source)

    def _file(self, archive: TarFile, member: TarInfo, parent: int, name: str) -> None:
        reader = archive.extractfile(member)
        fd = os.open(name, _NEW, 0o600, dir_fd=parent)
        with open(fd, "wb", buffering=0) as file:
            while reader is not None and (data := reader.read(_CHUNK)):
                view = memoryview(data)
                while view:
                    view = view[file.write(view) :]
            os.fchmod(fd, member.mode & _MODES)
            os.utime(fd, (member.mtime, member.mtime))

    def _finish_directory(self, parts: list[str], member: TarInfo) -> None:
        """At the end, for a directory that may not be written to, and for times that writing changes."""
        try:
            fd = self._open(parts)
        except OSError:
            return  # somebody else took it away meanwhile
        os.fchmod(fd, member.mode & _MODES)
        os.utime(fd, (member.mtime, member.mtime))
        os.close(fd)

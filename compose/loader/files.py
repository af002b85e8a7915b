"""Reads the files of a load, and remembers each one read or missed.

Nothing else in the loader opens a file: what is recorded here decides whether a cached result still holds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.errors import ComposeError, Problem, SourceMark, SourceNotFound, SyntaxProblem
from compose.loader.remotes import inside, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.remotes import Remote

NOTHING, FILE, DIRECTORY = "", "file", "directory"
LINK = "->"
"""Before the path of a symbolic link among the kinds."""


def kind_of(path: str) -> str:
    """NOTHING, DIRECTORY or, for everything else that is there, FILE."""
    if os.path.isdir(path):
        return DIRECTORY
    return FILE if os.path.exists(path) else NOTHING


def link_of(path: str) -> str:
    """Where a symbolic link leads, "" if there is none at the path."""
    return os.path.realpath(path) if os.path.islink(path) else ""


class Files:
    """The file system as the loader sees it."""

    def __init__(
        self,
        cwd: str,
        stdin: Callable[[], str] | None = None,
        fetch: Callable[[str], Remote] | None = None,
    ) -> None:
        self.cwd = cwd
        self.stdin = stdin
        self._fetch = fetch
        self.remotes: dict[str, Remote] = {}
        """Address to what it stood for in this load."""
        self.seen: dict[str, bytes | None] = {}
        """Path to content; None for what could not be read."""
        self.kinds: dict[str, str] = {}
        """Path to what was found when only that was asked: a kind of `kind_of`, or where a symbolic link leads."""

    def read(self, path: str, mark: SourceMark | None = None, what: str = "") -> bytes:
        """The content of a file, `-` being standard input. Raises SourceNotFound, located where it was asked for."""
        if path in self.seen:
            known = self.seen[path]
            if known is not None:
                return known
        try:
            self.seen[path] = content = self._open(path)
        except IsADirectoryError:
            raise SourceNotFound(Problem(f"{what}read {path}: is a directory", mark=mark)) from None
        except OSError as error:
            self.seen[path] = None
            reason = (error.strerror or str(error)).lower()
            raise SourceNotFound(Problem(f"{what}open {path}: {reason}", mark=mark)) from None
        return content

    def remote(self, address: str, mark: SourceMark | None = None) -> Remote:
        """A remote compose file, fetched; SourceNotFound, located where it was asked for."""
        known = self.remotes.get(address)
        if known is not None:
            return known
        if self._fetch is None:
            raise SourceNotFound(Problem(f"remote resource {address} cannot be read here", mark=mark))
        try:
            found = self.remotes[address] = self._fetch(address)
        except ComposeError as error:
            raise SourceNotFound(Problem(error.message, mark=mark)) from error
        return found

    def remote_of(self, mark: SourceMark | None) -> Remote | None:
        """The remote resource that a place is in, None for a local file."""
        if mark is None:
            return None
        found = [each for each in self.remotes.values() if inside(mark.file, each.address)]
        return max(found, key=lambda each: len(each.address), default=None)

    def shown(self, path: str) -> str:
        """What messages call a file: a path, an address where it is remote."""
        if path == "-":
            return "<stdin>"
        remote = self._holder(path)
        return shown(path, remote) if remote is not None else path

    def _holder(self, path: str) -> Remote | None:
        return next((each for each in self.remotes.values() if inside(path, each.directory)), None)

    def text(self, path: str, mark: SourceMark | None = None, what: str = "") -> str:
        """The content of a file of variables, which must be UTF-8."""
        data = self.read(path, mark, what)
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise SyntaxProblem(
                Problem(
                    f"failed to read {path}: line {line}: byte 0x{data[error.start]:02x} is not UTF-8",
                    mark=SourceMark(path, line, 1),
                )
            ) from None

    def is_file(self, path: str) -> bool:
        """Whether there is something at `path` that is no directory; the answer is recorded."""
        return self._kind(path) == FILE

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`; the answer is recorded."""
        return self._kind(path) != NOTHING

    def is_directory(self, path: str) -> bool:
        """Whether there is a directory at `path`; the answer is recorded."""
        return self._kind(path) == DIRECTORY

    def link(self, path: str) -> str:
        """Where the symbolic link at `path` leads in the end, "" if it is none; the answer is recorded."""
        target = self.kinds[f"{LINK}{path}"] = link_of(path)
        return target

    def _kind(self, path: str) -> str:
        located = os.path.join(self.cwd, path)
        kind = self.kinds[located] = kind_of(located)
        return kind

    def _open(self, path: str) -> bytes:
        if path == "-":
            return self.stdin().encode() if self.stdin is not None else b""
        located = os.path.join(self.cwd, path)
        remote = self._holder(located)
        if remote is not None and not inside(os.path.realpath(located), os.path.realpath(remote.directory)):
            raise PermissionError(None, "a link leads out of what was fetched")
        with open(located, "rb") as file:
            return file.read()

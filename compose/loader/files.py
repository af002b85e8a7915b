"""Reads the files of a load, and remembers each one read or missed.

Nothing else in the loader opens a file: what is recorded here decides whether a cached result still holds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from compose.errors import Problem, SourceMark, SourceNotFound, SyntaxProblem

if TYPE_CHECKING:
    from collections.abc import Callable


class Files:
    """The file system as the loader sees it."""

    def __init__(self, cwd: str, stdin: Callable[[], str] | None = None) -> None:
        self.cwd = cwd
        self.stdin = stdin
        self.seen: dict[str, bytes | None] = {}
        """Path to content; None for what was looked for and is not there."""

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
        located = os.path.join(self.cwd, path)
        if os.path.exists(located) and not os.path.isdir(located):
            return True
        self.seen.setdefault(path, None)
        return False

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`; an absence is recorded."""
        if os.path.exists(os.path.join(self.cwd, path)):
            return True
        self.seen.setdefault(path, None)
        return False

    def _open(self, path: str) -> bytes:
        if path == "-":
            return self.stdin().encode() if self.stdin is not None else b""
        with open(os.path.join(self.cwd, path), "rb") as file:
            return file.read()

"""Collects what is wrong while the pipeline goes on, so that one run names every problem of a file.

A value with a problem is taken out of the tree and its owner (`services.web`) is remembered as damaged: later phases
go on with the rest and stay silent about what is only a consequence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import LoadError, Problem

if TYPE_CHECKING:
    from compose.errors import SourceMark
    from compose.loader.tree import Path


class Report:
    """Problems and warnings of one load."""

    def __init__(self) -> None:
        self.problems: list[tuple[type[LoadError], Problem]] = []
        self._known: set[Problem] = set()
        self.damaged: set[Path] = set()
        self.warnings: list[str] = []
        self.interpolated: set[SourceMark] = set()
        """Where variables stood: a value that is wrong for want of one was warned of, and is refused when it is used."""

    def add(
        self,
        kind: type[LoadError],
        message: str,
        path: Path = (),
        mark: SourceMark | None = None,
        *,
        expected: str = "",
        suggestion: str = "",
        related: tuple[SourceMark, ...] = (),
    ) -> None:
        """Record a problem; the owner named by the first two parts of `path` counts as damaged from now on."""
        from compose.loader.tree import path_text

        self.damaged.add(path[:2])
        self.put(kind, Problem(message, path_text(path), mark, expected, suggestion, related))

    def put(self, kind: type[LoadError], problem: Problem) -> None:
        """Record a problem that is described already, once; nobody counts as damaged by it."""
        if problem not in self._known:
            self._known.add(problem)
            self.problems.append((kind, problem))

    def warn(self, message: str) -> None:
        """Record a warning once."""
        if message not in self.warnings:
            self.warnings.append(message)

    def is_damaged(self, *owner: str) -> bool:
        """Whether a problem of this owner (`services`, `web`) is known."""
        return owner in self.damaged or owner[:1] in self.damaged or () in self.damaged

    def raise_if_any(self) -> None:
        """Raise what was collected, in the order of files and lines, as the error of the first one's kind."""
        if not self.problems:
            return

        def place(entry: tuple[type[LoadError], Problem]) -> tuple[bool, str, int, int]:
            mark = entry[1].mark
            return (True, "", 0, 0) if mark is None else (False, *mark)

        ordered = sorted(self.problems, key=place)
        raise ordered[0][0]([problem for _, problem in ordered])

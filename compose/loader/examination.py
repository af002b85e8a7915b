"""The project under examination: what every check reads it through and reports to.

Marks are looked up by path when something is wrong, not before: a project without problems pays nothing for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ConsistencyError
from compose.loader.tree import Path, path_text
from compose.model.project import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.errors import SourceMark
    from compose.loader.report import Report
    from compose.model.project import Project
    from compose.model.service import ServiceConfig


class Checks:
    """The project under examination."""

    def __init__(self, project: Project, report: Report) -> None:
        self.project = project
        self.report = report

    def fail(
        self,
        message: str,
        path: Path,
        *,
        expected: str = "",
        suggestion: str = "",
        related: Iterable[SourceMark | None] = (),
        unless_interpolated: bool = False,
    ) -> None:
        """Report a problem at a path; `unless_interpolated`: not if a variable may have been wanting there."""
        if unless_interpolated and self.is_interpolated(path):
            return
        marks = tuple(mark for mark in related if mark is not None)
        self.report.add(
            ConsistencyError, message, path, self.mark(path), expected=expected, suggestion=suggestion, related=marks
        )

    def is_interpolated(self, path: Path) -> bool:
        """Whether variables stood at a path, as far as this load knows."""
        return bool(self.report.interpolated) and self.mark(path) in self.report.interpolated

    def mark(self, path: Path) -> SourceMark | None:
        """Where the value at a path was written."""
        return self.project.mark(path_text(path))

    def undefined(self, service: ServiceConfig, kind: str, section: str, name: str, path: Path) -> None:
        """Report a reference to a resource the project does not have."""
        known = getattr(self.project, section)
        if name in known or self.report.is_damaged(section, name):
            return
        suggestion = nearest(name, known)
        expected = "" if suggestion else f"`{name}:` under top-level `{section}:`"
        self.fail(
            f'service "{service.name}" refers to undefined {kind} {name}: invalid compose project',
            path,
            expected=expected,
            suggestion=suggestion,
        )

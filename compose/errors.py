"""Errors of the compose wing; what went wrong is data (`Problem`), so that text and JSON say the same.

ComposeError                 exit code 1 unless told otherwise
├── UsageError               flags or arguments that do not go together
├── NoSuchService            a name given by the user that the project does not have
└── LoadError                the files; all problems found are in `problems`
    ├── SourceNotFound       no compose file, missing include, extends or env file
    ├── SyntaxProblem        not YAML, or YAML we refuse (duplicate keys, alias bombs)
    ├── InterpolationError   `${...}` grammar, or a required variable without a value
    ├── SchemaError          the shape is wrong
    └── ConsistencyError     each part is well formed, together they make no sense
"""

from __future__ import annotations

from typing import Any, NamedTuple


class SourceMark(NamedTuple):
    """A place in a file; lines and columns count from 1, 0 means not known."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        if not self.line:
            return self.file
        return f"{self.file}:{self.line}:{self.column}"


class Problem(NamedTuple):
    """One thing that is wrong: where, at which path of the model, what, and what would be right."""

    message: str
    path: str = ""
    mark: SourceMark | None = None
    expected: str = ""
    suggestion: str = ""
    """The nearest valid key or name."""
    related: tuple[SourceMark, ...] = ()
    """The other places of a conflict, or the places an `extends` or `include` led here from."""

    def __str__(self) -> str:
        told = not self.path or self.message.startswith(self.path)
        text = self.message if told else f"{self.path}: {self.message}"
        if self.mark is not None:
            text = f"{self.mark}: {text}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.suggestion:
            text += f'; did you mean "{self.suggestion}"?'
        if self.related:
            text += f" (see {', '.join(map(str, self.related))})"
        return text

    def to_dict(self) -> dict[str, Any]:
        """The problem as JSON-ready data, absent parts left out."""
        data: dict[str, Any] = {"message": self.message}
        if self.path:
            data["path"] = self.path
        if self.mark is not None:
            data["location"] = self.mark._asdict()
        if self.expected:
            data["expected"] = self.expected
        if self.suggestion:
            data["suggestion"] = self.suggestion
        if self.related:
            data["related"] = [mark._asdict() for mark in self.related]
        return data


class ComposeError(Exception):
    """Base of all errors that end a command with a message and an exit code."""

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.exit_code = exit_code

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON-ready data."""
        return {"error": self.message}


class UsageError(ComposeError):
    """Flags or arguments that do not go together."""


class NoSuchService(ComposeError):
    """A service named by the user that the project does not have (or has not enabled)."""

    def __init__(self, name: str, suggestion: str = "") -> None:
        hint = f'; did you mean "{suggestion}"?' if suggestion else ""
        super().__init__(f"no such service: {name}{hint}")
        self.name = name


class LoadError(ComposeError):
    """The project's files cannot be loaded; `problems` holds everything found, in file order."""

    def __init__(self, problems: str | Problem | list[Problem]) -> None:
        if isinstance(problems, str):
            problems = Problem(problems)
        if isinstance(problems, Problem):
            problems = [problems]
        super().__init__("\n".join(map(str, problems)))
        self.problems: tuple[Problem, ...] = tuple(problems)

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON-ready data: `{error, problems: [...]}`."""
        return {"error": self.message, "problems": [problem.to_dict() for problem in self.problems]}


class SourceNotFound(LoadError):
    """A file that should be read does not exist."""


class SyntaxProblem(LoadError):
    """Not YAML, or YAML that is refused."""


class InterpolationError(LoadError):
    """A template is malformed, or a required variable has no value."""


class SchemaError(LoadError):
    """An attribute is unknown or has the wrong type."""


class ConsistencyError(LoadError):
    """Well-formed parts that contradict each other or refer to what does not exist."""

"""Match paths against patterns in the dialect of .dockerignore.

The semantics are those of Go's moby/patternmatcher: later patterns win, `!` takes back, a pattern that matches a
directory matches all below it, and `**` at the very start is a suffix test (`**foo` matches `barfoo`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ESCAPED = frozenset(".+()|{}$")
"""Special in a regular expression, plain in a pattern."""


class BadPattern(ValueError):
    """A pattern that means nothing; the message says which and why."""


class _Pattern:
    """One pattern, compiled to whichever test is enough for it."""

    __slots__ = ("_kind", "_prefix", "_regex", "_suffix", "_text", "negated")

    def __init__(self, text: str, *, negated: bool) -> None:
        self.negated = negated
        self._text = text
        self._prefix = self._suffix = ""
        self._regex: re.Pattern[str] | None = None
        kind, regex = _translate(text)
        if kind == "prefix":
            self._prefix = text[:-2]
        elif kind == "suffix":
            self._suffix = text[2:]
        elif kind == "regex":
            try:
                self._regex = re.compile(f"{regex}\\Z")
            except re.error as error:
                raise BadPattern(f'pattern "{text}": {error}') from None
        self._kind = kind

    def matches(self, path: str) -> bool:
        if self._regex is not None:
            return self._regex.match(path) is not None
        if self._kind == "prefix":
            return path.startswith(self._prefix)
        if self._kind == "suffix":
            return path.endswith(self._suffix) or (self._suffix[:1] == "/" and path == self._suffix[1:])
        return path == self._text


class Matcher:
    """A list of patterns; paths are relative to the directory that the patterns are about, with `/` between parts."""

    __slots__ = ("_patterns", "has_negations")

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises BadPattern."""
        self._patterns: list[_Pattern] = []
        for given in patterns:
            text = given.strip()
            if not text:
                continue
            negated = text.startswith("!")
            if negated:
                text = text[1:].strip()
                if not text:
                    raise BadPattern('illegal exclusion pattern: "!"')
            cleaned = clean(text)
            self._patterns.append(
                _Pattern(cleaned[1:] if len(cleaned) > 1 and cleaned[0] == "/" else cleaned, negated=negated)
            )
        self.has_negations = any(pattern.negated for pattern in self._patterns)

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def matches(self, path: str) -> bool:
        """Whether the path, or a directory that it is in, is matched in the end."""
        matched = False
        parents = _parents(path)
        for pattern in self._patterns:
            # A pattern that could not change the answer is not asked.
            if pattern.negated != matched:
                continue
            if pattern.matches(path) or any(pattern.matches(parent) for parent in parents):
                matched = not pattern.negated
        return matched

    def prunes(self, directory: str) -> bool:
        """Whether nothing below the directory can be unmatched, so that it need not be entered."""
        return not self.has_negations and self.matches(directory)


def parse(text: str) -> list[str]:
    """The patterns of an ignore file: comments and blank lines dropped, paths cleaned."""
    patterns = []
    for line in text.removeprefix("\ufeff").splitlines():
        if line.startswith("#"):
            continue
        pattern = line.strip()
        if not pattern:
            continue
        negated = pattern.startswith("!")
        if negated:
            pattern = pattern[1:].strip()
        if pattern:
            pattern = clean(pattern)
            if len(pattern) > 1 and pattern.startswith("/"):
                pattern = pattern[1:]
        patterns.append(f"!{pattern}" if negated else pattern)
    return patterns


def clean(path: str) -> str:
    """Go's filepath.Clean: the shortest path that means the same, `.` for nothing."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts and parts[-1] != "..":
            parts.pop()
        elif not rooted:
            parts.append(part)
    return ("/" if rooted else "") + "/".join(parts) or "."


def _parents(path: str) -> list[str]:
    """All directories that the path is in, the outermost first; none for a single name."""
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


def _translate(pattern: str) -> tuple[str, str]:
    """(exact, prefix, suffix or regex; the regular expression)."""
    regex = ""
    kind = "exact"
    at = turn = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 1
            if pattern[at : at + 1] == "/":
                at += 1
            if at < len(pattern):
                regex += "(?:.*/)?"
                kind = "regex"
            elif kind == "exact":
                kind = "prefix"
            else:
                regex += ".*"
                kind = "regex"
            if turn == 0:
                kind = "suffix"
        elif char == "*":
            regex += "[^/]*"
            kind = "regex"
        elif char == "?":
            regex += "[^/]"
            kind = "regex"
        elif char in _ESCAPED:
            regex += f"\\{char}"
        elif char == "\\" and at < len(pattern):
            regex += re.escape(pattern[at])
            at += 1
            kind = "regex"
        elif char == "\\":
            raise BadPattern(f'pattern "{pattern}": nothing follows the last backslash')
        else:
            regex += char
            kind = "regex" if char in "[]" else kind
        turn += 1
    return kind, regex

"""Match paths against patterns in the dialect of .dockerignore.

The semantics are those of Go's moby/patternmatcher: later patterns win, `!` takes back, a pattern that matches a
directory matches all below it, and `**` at the very start is a suffix test (`**foo` matches `barfoo`). Neighbours of one
sign are one regular expression, which ends at a `/` as well as at the end: so a path is asked once, not once for each
pattern and parent.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

_STAR = "[^/]*"
_ANYTHING = r"[\s\S]*"
_MAGIC = frozenset("*?[\\")


class BadPattern(ValueError):
    """A pattern that means nothing; the message says which and why."""


class _Run(NamedTuple):
    """Neighbouring patterns of one sign."""

    negated: bool
    regex: re.Pattern[str]
    parts: tuple[tuple[str, ...], ...]
    """Each pattern's path components."""


class Matcher:
    """A list of patterns; paths are relative to the directory that the patterns are about, with `/` between parts."""

    __slots__ = ("_runs", "has_negations")

    def __init__(self, patterns: Iterable[str]) -> None:
        """Raises BadPattern."""
        self._runs: list[_Run] = []
        negated, run = False, list[str]()
        for text, sign in map(_signed, filter(None, map(str.strip, patterns))):
            if sign != negated:
                self._end(negated, run)
                negated, run = sign, []
            run.append(text)
        self._end(negated, run)
        self.has_negations = any(run.negated for run in self._runs)

    def _end(self, negated: bool, patterns: list[str]) -> None:
        if not patterns:
            return
        # Each alone first: two broken ones may make a whole together.
        regexes = [_compiled(pattern) for pattern in patterns]
        whole = (
            _compile("|".join(regexes), " ".join(patterns)) if len(regexes) > 1 else _compile(regexes[0], patterns[0])
        )
        self._runs.append(_Run(negated, whole, tuple(tuple(pattern.split("/")) for pattern in patterns)))

    def __bool__(self) -> bool:
        return bool(self._runs)

    def matches(self, path: str) -> bool:
        """Whether the path, or a directory that it is in, is matched in the end."""
        matched = False
        for run in self._runs:
            # What could not change the answer is not asked.
            if run.negated == matched and run.regex.match(path):
                matched = not matched
        return matched

    def prunes(self, directory: str) -> bool:
        """Whether everything below the directory is matched, so that it need not be entered.

        It is never true where a `!` pattern after the one that matches could take something back.
        """
        parts = directory.split("/")
        for run in reversed(self._runs):
            if not run.negated:
                if run.regex.match(directory):
                    return True
            elif run.regex.match(directory) or any(_may_reach(pattern, parts) for pattern in run.parts):
                return False
        return False


def parse(text: str) -> list[str]:
    """The patterns of an ignore file: comments and blank lines dropped, paths cleaned."""
    patterns = []
    for line in text.removeprefix("\ufeff").split("\n"):
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


def names(dockerfile: str) -> tuple[str, str]:
    """The ignore files of a build, the first that exists counts: beside the Dockerfile, else at the context's root."""
    return f"{dockerfile}.dockerignore", ".dockerignore"


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


def _signed(text: str) -> tuple[str, bool]:
    """(the cleaned pattern, whether it takes back)."""
    negated = text.startswith("!")
    if negated:
        text = text[1:].strip()
        if not text:
            raise BadPattern('illegal exclusion pattern: "!"')
    cleaned = clean(text)
    return (cleaned[1:] if len(cleaned) > 1 and cleaned[0] == "/" else cleaned), negated


def _may_reach(pattern: tuple[str, ...], directory: list[str]) -> bool:
    """Whether a pattern could match something below the directory that it does not match itself."""
    for wanted, part in zip(pattern, directory, strict=False):
        if "**" in wanted:
            return True
        if wanted != part and not _MAGIC.intersection(wanted):
            return False
    # One that ends at the directory or above it has already said what it says of everything below.
    return len(pattern) > len(directory)


def _compile(regex: str, text: str) -> re.Pattern[str]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # `[[` in a class: plain in Go, and so far in Python
            return re.compile(f"(?:{regex})(?:/|\\Z)")
    except (re.error, RecursionError, OverflowError) as error:
        raise BadPattern(f'pattern "{text}": {error}') from None


def _compiled(text: str) -> str:
    """The regular expression of one pattern, tried."""
    regex = _translate(text)
    _compile(regex, text)
    return regex


def _translate(pattern: str) -> str:
    """The pattern as a regular expression, without an end."""
    if (suffix := _suffix(pattern)) is not None:
        return suffix
    out: list[str] = []
    at, size = 0, len(pattern)
    while at < size:
        char = pattern[at]
        if pattern.startswith("**", at):
            while pattern.startswith("**", at):
                at += 2
                at += pattern.startswith("/", at)
            out.append(_ANYTHING if at >= size else "(?:.*/)?")
            continue
        at += 1
        if char == "*":
            out.append(_STAR)
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            end = _class_end(pattern, at)
            if end < 0:
                raise BadPattern(f'pattern "{pattern}": missing closing ]')
            out.append(pattern[at - 1 : end])
            at = end
        elif char == "\\":
            if at == size:
                raise BadPattern(f'pattern "{pattern}": nothing follows the last backslash')
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(char))
    return "".join(_atomic(out))


def _suffix(pattern: str) -> str | None:
    """`**` at the start of what is otherwise plain: only there it need not end at a `/`."""
    rest = pattern.removeprefix("**")
    if rest == pattern or not rest or rest == "/" or _MAGIC.intersection(rest) or "]" in rest:
        return None
    return f"(?:{_ANYTHING}/)?{re.escape(rest[1:])}" if rest[0] == "/" else _ANYTHING + re.escape(rest)


def _class_end(pattern: str, at: int) -> int:
    """Where a class that began before `at` has ended, -1 if it does not."""
    at += pattern.startswith("^", at)
    at += pattern.startswith("]", at)
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 1
        elif pattern[at] == "]":
            return at + 1
        at += 1
    return -1


def _atomic(pieces: list[str]) -> list[str]:
    """Make a star that another star follows in its component take the earliest match for good.

    It is as good as any later one, and keeps `a*a*a*a*b` from trying them all.
    """
    out: list[str] = []
    since: int | None = None
    for piece in pieces:
        if piece == _STAR:
            if since is not None:
                held = "".join(out[since + 1 :])
                out[since:] = [f"(?>[^/]*?{held})"] if held else []
            since = len(out)
        elif "/" in piece and piece != "[^/]":
            since = None
        out.append(piece)
    return out

"""Paths and patterns as Go's filepath package reads them, which is what a Dockerfile's COPY means by them."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache

from runtime.errors import InvalidParameter

DEEP = "**"
"""A component of a pattern that stands for any number of directories."""


def clean(path: str) -> str:
    """`path` below `/`, without `.`, `..` and doubled slashes; `/` for the empty one."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def clean_keeping_slash(path: str) -> str:
    """As clean, but an ending `/` or `/.` stays, for it says that a directory is meant."""
    cleaned = clean(path)
    if path.endswith("/."):
        return cleaned + "." if cleaned == "/" else cleaned + "/."
    if path.endswith("/") and cleaned != "/":
        return cleaned + "/"
    return cleaned


def has_wildcards(path: str) -> bool:
    """Whether a pattern character stands in `path` that no backslash takes its meaning from."""
    return re.search(r"(?:^|[^\\])(?:\\\\)*[*?\[]", path) is not None


def split_wildcards(path: str) -> tuple[str, str]:
    """The components before the first one with a wildcard, and the pattern from there on (empty: no wildcards)."""
    parts = clean(path).lstrip("/").split("/")
    for number, part in enumerate(parts):
        if has_wildcards(part):
            return "/" + "/".join(parts[:number]), "/".join(parts[number:])
    return clean(path), ""


def match(pattern: str, name: str) -> bool:
    """filepath.Match: `*`, `?`, `[a-z]`, `[^a]` and `\\`, none of which matches a slash; raises InvalidParameter."""
    return _compiled(pattern).fullmatch(name) is not None


def match_deep(pattern: str, name: str) -> bool:
    """As match, but a component `**` stands for any number of directories, as --parents has it."""
    return _deep(pattern.split("/"), name.split("/"))


def _deep(patterns: list[str], names: list[str]) -> bool:
    if not patterns or not names:
        return not names and all(each == DEEP for each in patterns)
    if patterns[0] == DEEP:
        return _deep(patterns[1:], names) or _deep(patterns, names[1:])
    return match(patterns[0], names[0]) and _deep(patterns[1:], names[1:])


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    found: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            found.append("[^/]*")
        elif character == "?":
            found.append("[^/]")
        elif character == "[":
            text, position = _class(pattern, position)
            found.append(text)
        elif character == "\\":
            if position == len(pattern):
                raise _bad(pattern)
            found.append(re.escape(pattern[position]))
            position += 1
        else:
            found.append(re.escape(character))
    return re.compile("".join(found), re.DOTALL)


def _class(pattern: str, position: int) -> tuple[str, int]:
    negated = pattern[position : position + 1] == "^"
    position += negated
    parts: list[str] = []
    while True:
        if pattern[position : position + 1] == "]" and parts:
            break
        low, position = _member(pattern, position)
        high = low
        if pattern[position : position + 1] == "-":
            high, position = _member(pattern, position + 1)
        if low <= high:
            parts.append(f"{re.escape(low)}-{re.escape(high)}")
        else:
            parts.append("")  # Go accepts a range that holds nothing
    members = "".join(parts)
    if not members:
        return ("[^/]" if negated else r"(?!)"), position + 1
    return (f"(?!/)[^{members}]" if negated else f"[{members}]"), position + 1


def _member(pattern: str, position: int) -> tuple[str, int]:
    character = pattern[position : position + 1]
    if character == "\\":
        position += 1
        character = pattern[position : position + 1]
    elif character in ("-", "]"):
        raise _bad(pattern)
    if not character:
        raise _bad(pattern)
    return character, position + 1


def _bad(pattern: str) -> InvalidParameter:
    return InvalidParameter(f"pattern {pattern!r}: syntax error in pattern")

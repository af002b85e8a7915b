"""The patterns of `${v#p}`, `${v%p}` and `${v/p/r}`: `*`, `?` and `\\` only, no brackets.

Compiled to regular expressions that cannot backtrack far: between two stars the earliest match is always good enough, so
all but the last are atomic groups.
"""

from __future__ import annotations

import re

from runtime.build.dockerfile.problem import DockerfileError

_ANY = "."
_TEMPLATE = re.compile(r"\$\$|\$(?:\{(\w+)\}|(\w+))")


def trim(value: str, pattern: str, *, end: bool, longest: bool) -> str:
    """The value without the shortest or longest head (or tail) that the pattern matches. Raises DockerfileError."""
    tokens = _tokens(pattern)
    if end:  # the shortest tail is the shortest head of everything reversed
        tokens.reverse()
        value = value[::-1]
    found = re.compile(_regex(tokens, longest=longest)).match(value)
    if found:
        value = value[found.end() :]
    return value[::-1] if end else value


def replace(value: str, pattern: str, replacement: str, *, everywhere: bool) -> str:
    """The value with the first longest match of the pattern replaced, or all of them. Raises DockerfileError."""
    regex = re.compile(_regex(_tokens(pattern), longest=True))
    if not everywhere:
        return regex.sub(lambda _match: replacement, value, count=1)
    out: list[str] = []
    done = 0
    for found in regex.finditer(value):
        if found.start() == found.end() == done and done:  # an empty match that touches the one before is none
            continue
        out += value[done : found.start()], _templated(replacement, found[0])
        done = found.end()
    return "".join(out) + value[done:]


def _templated(replacement: str, match: str) -> str:
    """BuildKit's `//` takes `$0` for the match and any other `$name` for nothing, `$$` for `$`; its `/` does not."""

    def one(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        return match if (found[1] or found[2]) == "0" else ""

    return _TEMPLATE.sub(one, replacement) if "$" in replacement else replacement


def _tokens(pattern: str) -> list[str]:
    """`*` and `?` as they are, plain characters with a backslash before them."""
    tokens: list[str] = []
    chars = iter(pattern)
    for char in chars:
        if char != "\\":
            tokens.append(char if char in "*?" else f"\\{char}")
            continue
        following = next(chars, "")
        # These two had to be escaped to be written in ${} at all.
        if following not in ("}", "/", "*", "?", "\\"):
            raise DockerfileError(f"invalid pattern ({pattern}) in substitution: invalid escape '\\{following}'")
        tokens.append(f"\\{following}")
    return tokens


def _regex(tokens: list[str], *, longest: bool) -> str:
    parts: list[str] = [""]
    for token in tokens:
        if token == "*":
            parts.append("")
        else:
            parts[-1] += _ANY if token == "?" else re.escape(token[1])
    head, *stars = parts
    last = len(stars) - 1
    for number, part in enumerate(stars):
        if number < last:
            head += f"(?>.*?{part})" if part else ""
        else:
            head += f".*{part}" if longest else f".*?{part}"
    return head

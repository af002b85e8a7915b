"""The grammar of `$NAME` and `${NAME...}` in compose files and env files.

    $NAME  ${NAME}  ${NAME:-default}  ${NAME-default}  ${NAME:?error}  ${NAME?error}  ${NAME:+other}  ${NAME+other}  $$

Defaults nest. Each is evaluated whether needed or not (so is the reference's), braces are balanced within a line, and
a `$` that starts none of the forms stands for itself. Text grows by substitution: size and nesting are bounded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    Lookup = Callable[[str], str | None]

MAX_DEPTH = 100
MAX_LENGTH = 1 << 20
_NAME = re.compile(r"[_a-z][_a-z0-9]*", re.IGNORECASE | re.ASCII)
_OPERATOR = re.compile(r":?[-+?]")
_BRACE = re.compile(r"[{}]")
_NESTING = re.compile(r"\$\$|\$?\{|\}")


class TemplateError(Exception):
    """A template that cannot be substituted; `offset` is the place of its `$`."""

    def __init__(self, message: str, offset: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


class InvalidTemplate(TemplateError):
    """`${` that starts none of the forms."""


class MissingRequired(TemplateError):
    """`${NAME:?error}` and NAME has no value."""


class Variable(NamedTuple):
    """A variable as a template mentions it."""

    name: str
    default: str = ""
    presence: str = ""
    required: bool = False


class _Token(NamedTuple):
    end: int
    name: str
    operator: str
    argument: str


def substitute(text: str, lookup: Lookup, unset: Callable[[str], None] | None = None, depth: int = 0) -> str:
    """The text with every form replaced; `unset` hears of variables without value or default. Raises TemplateError."""
    at = text.find("$")
    if at < 0:
        return text
    if depth > MAX_DEPTH or (depth == 0 and _is_too_deep(text)):
        raise TemplateError(f"interpolation nests deeper than {MAX_DEPTH} levels", at)
    parts: list[str] = []
    done = 0
    length = 0
    while at >= 0:
        parts.append(text[done:at])
        token = _token(text, at)
        if token is None:
            value, done = "$", at + 1
        elif not token.name:
            value, done = "$", token.end
        else:
            try:
                value = _value(token, lookup, unset, depth)
            except InvalidTemplate as error:
                raise InvalidTemplate(error.message, at) from None
            done = token.end
        parts.append(value)
        length += len(value) + len(parts[-2])
        if length > MAX_LENGTH:
            raise TemplateError(f"interpolation expands to more than {MAX_LENGTH >> 20} MiB", at)
        at = text.find("$", done)
    parts.append(text[done:])
    return "".join(parts)


def _is_too_deep(text: str) -> bool:
    """Whether forms nest too deep, found in one pass: taking them apart level by level costs a pass for each."""
    if text.count("${") <= MAX_DEPTH:
        return False
    forms = 0
    stack: list[bool] = []
    for found in _NESTING.finditer(text):
        if found.group() == "}":
            forms -= bool(stack and stack.pop())
        elif found.group() != "$$":
            stack.append(found.group() == "${")
            forms += stack[-1]
            if forms > MAX_DEPTH + 1:
                return True
    return False


def variables(text: str) -> list[Variable]:
    """All variables a template mentions, nested ones after the one they are in; malformed forms are passed over."""
    found: list[Variable] = []
    at = -1 if _is_too_deep(text) else text.find("$")
    while at >= 0:
        try:
            token = _token(text, at)
        except TemplateError:
            token = None
        if token is None or not token.name:
            at = text.find("$", token.end if token else at + 1)
            continue
        argument = token.argument
        kind = token.operator[-1:]
        found.append(
            Variable(
                token.name,
                default=argument if kind == "-" else "",
                presence=argument if kind == "+" else "",
                required=kind == "?",
            )
        )
        if kind in ("-", "+"):
            found.extend(variables(argument))
        at = text.find("$", token.end)
    return found


def _token(text: str, at: int) -> _Token | None:
    """The form that starts at `at`; None if the dollar stands for itself; an empty name is an escaped dollar."""
    following = text[at + 1 : at + 2]
    if following == "$":
        return _Token(at + 2, "", "", "")
    if following != "{":
        name = _NAME.match(text, at + 1)
        return _Token(name.end(), name.group(), "", "") if name else None
    name = _NAME.match(text, at + 2)
    if name is None:
        raise InvalidTemplate(text, at)
    if text[name.end() : name.end() + 1] == "}":
        return _Token(name.end() + 1, name.group(), "", "")
    operator = _OPERATOR.match(text, name.end())
    line_end = text.find("\n", at)
    last = text.rfind("}", at, line_end if line_end >= 0 else len(text))
    if operator is None or last < operator.end():
        raise InvalidTemplate(text, at)
    close = _closing(text, at, last)
    return _Token(close + 1, name.group(), operator.group(), text[operator.end() : close])


def _closing(text: str, at: int, last: int) -> int:
    """The brace that closes the form at `at`, or `last` if they do not balance."""
    open_braces = 0
    skip = -1
    for brace in _BRACE.finditer(text, at, last + 1):
        if brace.start() == skip:
            continue
        if brace.group() == "{":
            open_braces += 1
            skip = brace.start() + 1
        else:
            open_braces -= 1
            if open_braces == 0:
                return brace.start()
    return last


def _value(token: _Token, lookup: Lookup, unset: Callable[[str], None] | None, depth: int) -> str:
    value = lookup(token.name)
    if not token.operator:
        if value is None and unset is not None:
            unset(token.name)
        return value or ""
    argument = substitute(token.argument, lookup, unset, depth + 1)
    missing = not value if token.operator[0] == ":" else value is None
    kind = token.operator[-1]
    if kind == "-":
        return argument if missing else value or ""
    if kind == "+":
        return value or "" if missing else argument
    if missing:
        reason = f": {argument}" if argument else ""
        raise MissingRequired(f"required variable {token.name} is missing a value{reason}")
    return value or ""

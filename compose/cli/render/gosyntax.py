"""Parse Go template source: text, actions with pipelines, `if`, `with`, `range`, `else`, `end`, comments, trim marks.

The tree is what gotemplate evaluates. What Go knows and this does not (`define`, `template`, `block`, `break`) is named
in an error instead of being printed as something else.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_ACTION = re.compile(
    r"\{\{(?P<left>-\s)?(?P<body>(?:\"(?:[^\"\\]|\\.)*\"|`[^`]*`|[^\"`])*?)(?P<right>\s-)?\}\}", re.DOTALL
)
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<string>"(?:[^"\\]|\\.)*"|`[^`]*`)
      | (?P<number>[-+]?\d+(?:\.\d+)?)
      | (?P<field>(?:\.[A-Za-z_]\w*)+|\.)
      | (?P<variable>\$\w*(?:\.[A-Za-z_]\w*)*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<mark>:=|=|[|(),])
    )""",
    re.VERBOSE,
)
_BLOCKS = ("if", "with", "range")
_UNSUPPORTED = ("define", "template", "block", "break", "continue")
_CONSTANTS = {"true": True, "false": False, "nil": None}


class Literal(NamedTuple):
    """A string, number, boolean or nil."""

    value: Any


class Field(NamedTuple):
    """`.A.B`, or `.` with no names; `of` is what it is taken from: None for dot, a variable's name, or a pipeline."""

    of: Any
    names: tuple[str, ...]


class Function(NamedTuple):
    """A function's name where a value or a call stands."""

    name: str


class Pipe(NamedTuple):
    """Commands, each a list of operands; the value of one is the last argument of the next. `names` are assigned."""

    commands: list[list[Any]]
    names: tuple[str, ...]


class Action(NamedTuple):
    """A pipeline whose value is printed, unless it is assigned; `source` is its text."""

    pipe: Pipe
    source: str


class Block(NamedTuple):
    """`if`, `with` or `range` with both of its branches."""

    kind: str
    pipe: Pipe
    then: list[Any]
    otherwise: list[Any]


Template = list[Any]
"""Strings, Actions and Blocks in turn."""


def parse(source: str) -> Template:
    """The tree of a template; raises UsageError in Go's words for what is no template."""
    parts = list(_parts(source))
    nodes, stop = _nodes(parts, 0)
    if stop < len(parts):
        word = parts[stop][1].split(None, 1)[0]
        raise UsageError(f"template parsing error: template: :1: unexpected {{{{{word}}}}}")
    return nodes


def _parts(source: str) -> Iterator[tuple[str, str]]:
    """`("text", ...)` and `("action", ...)` pairs, trim marks applied."""
    position, trim = 0, False
    for match in _ACTION.finditer(source):
        text = source[position : match.start()]
        text = text.lstrip() if trim else text
        text = text.rstrip() if match["left"] else text
        _check_text(text)
        if text:
            yield "text", text
        body = match["body"].strip()
        if not body.startswith("/*"):
            yield "action", body
        position, trim = match.end(), bool(match["right"])
    rest = source[position:]
    _check_text(rest)
    if rest:
        yield "text", rest.lstrip() if trim else rest


def _check_text(text: str) -> None:
    if "{{" in text:
        raise UsageError("template parsing error: template: :1: unclosed action")


def _nodes(parts: Sequence[tuple[str, str]], position: int) -> tuple[Template, int]:
    """Nodes up to an `else` or `end` that belongs to an outer block, and where that stands."""
    nodes: Template = []
    while position < len(parts):
        kind, text = parts[position]
        if kind == "text":
            nodes.append(text)
            position += 1
            continue
        word, _, rest = text.partition(" ")
        if word in ("else", "end"):
            return nodes, position
        if word in _UNSUPPORTED:
            raise UsageError(f"template parsing error: {word} is not supported in --format")
        if word in _BLOCKS:
            block, position = _block(word, rest, parts, position + 1)
            nodes.append(block)
            continue
        nodes.append(Action(_pipe(text), text))
        position += 1
    return nodes, position


def _block(kind: str, condition: str, parts: Sequence[tuple[str, str]], position: int) -> tuple[Block, int]:
    pipe = _pipe(condition)
    then, position = _nodes(parts, position)
    otherwise: Template = []
    word, _, rest = (parts[position][1] if position < len(parts) else "").partition(" ")
    if word == "else":
        nested, _, condition = rest.strip().partition(" ")
        if nested:
            block, position = _block(nested, condition, parts, position + 1)
            return Block(kind, pipe, then, [block]), position
        otherwise, position = _nodes(parts, position + 1)
    if position >= len(parts):
        raise UsageError("template parsing error: template: :1: unexpected EOF")
    return Block(kind, pipe, then, otherwise), position + 1


def _pipe(text: str) -> Pipe:
    tokens = _tokens(text)
    names: list[str] = []
    for number, (_, token) in enumerate(tokens):
        if token in (":=", "="):
            names = [name for kind, name in tokens[:number] if kind == "variable"]
            tokens = tokens[number + 1 :]
            break
    commands, stop = _commands(tokens, 0, text)
    if stop < len(tokens):
        raise UsageError(f'template parsing error: template: :1: unexpected "{tokens[stop][1]}" in {{{{{text}}}}}')
    return Pipe(commands, tuple(names))


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens = []
    position, end = 0, len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise UsageError(
                f"template parsing error: template: :1: unexpected {text[position:].strip()[:20]!r} in action"
            )
        kind = str(match.lastgroup)
        # `(...).Name` is a field of what stands before it only where nothing separates the two
        joined = kind == "field" and match.start(kind) == position and position > 0 and text[position - 1] == ")"
        tokens.append(("of", match[kind]) if joined else (kind, match[kind]))
        position = match.end()
    return tokens


def _commands(tokens: Sequence[tuple[str, str]], position: int, text: str) -> tuple[list[list[Any]], int]:
    commands: list[list[Any]] = [[]]
    while position < len(tokens):
        kind, token = tokens[position]
        if token == ")" and kind == "mark":
            break
        position += 1
        if token == "|" and kind == "mark":
            commands.append([])
        elif token == "(" and kind == "mark":
            inner, position = _commands(tokens, position, text)
            if position >= len(tokens):
                raise UsageError("template parsing error: template: :1: unclosed left paren")
            position += 1
            commands[-1].append(Field(Pipe(inner, ()), ()))
        elif kind == "of":
            commands[-1][-1] = Field(commands[-1][-1], _names(token))
        else:
            commands[-1].append(_operand(kind, token))
    if not all(commands):
        raise UsageError(f"template parsing error: template: :1: missing value for command in {{{{{text}}}}}")
    return commands, position


def _operand(kind: str, token: str) -> Any:
    if kind == "string":
        return Literal(token[1:-1] if token[0] == "`" else _unquoted(token))
    if kind == "number":
        return Literal(float(token) if "." in token else int(token))
    if kind == "field":
        return Field(None, _names(token))
    if kind == "variable":
        name, _, rest = token.partition(".")
        return Field(name, _names(rest))
    if token in _CONSTANTS:
        return Literal(_CONSTANTS[token])
    if kind == "name":
        return Function(token)
    raise UsageError(f'template parsing error: template: :1: unexpected "{token}" in operand')


def _names(text: str) -> tuple[str, ...]:
    return tuple(filter(None, text.split(".")))


def _unquoted(token: str) -> str:
    try:
        # Go's escapes are Python's; a line end that came from outside the quotes is taken as it is
        return str(ast.literal_eval(token.replace("\n", "\\n").replace("\t", "\\t")))
    except (ValueError, SyntaxError) as error:
        raise UsageError(f"template parsing error: template: :1: invalid string {token}") from error

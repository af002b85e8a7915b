"""Evaluate the Go templates people write behind `--format`: fields, `json`, `upper`, `lower`, `title`, `join`, pipes.

Conditions and loops are not supported and said so, instead of printing something else than asked for.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from compose.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_TOKEN = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|`[^`]*`|[^\s|"`]+|\|)""")
_ESCAPES = {r"\t": "\t", r"\n": "\n"}


def to_json(value: Any) -> str:
    """Compact JSON, as Go's encoder without HTML escaping writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "json": to_json,
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "title": lambda value: str(value).title(),
    "println": lambda *values: " ".join(map(str, values)) + "\n",
    "print": lambda *values: " ".join(map(str, values)),
    "join": lambda value, separator: separator.join(map(str, value)),
    "truncate": lambda value, length: str(value)[: int(length)],
    "pad": lambda value, before, after: " " * int(before) + str(value) + " " * int(after) if value else value,
}


def is_table(source: str) -> bool:
    """Whether a header line is asked for: `table {{.Name}}`."""
    return source.startswith("table")


def compile_format(source: str) -> Sequence[str]:
    """The template in parts, text and actions in turn; raises UsageError for what is not supported."""
    text = source.removeprefix("table").strip() if is_table(source) else source
    for written, meant in _ESCAPES.items():
        text = text.replace(written, meant)
    parts = _ACTION.split(text)
    for action in parts[1::2]:
        word = action.split(" ", 1)[0]
        if word in ("if", "range", "with", "else", "end", "define", "template", "block"):
            raise UsageError(f"template parsing error: {word} is not supported in --format")
    if any("{{" in part for part in parts[::2]):
        raise UsageError("template parsing error: unclosed action")
    return parts


def render(parts: Sequence[str], fields: Mapping[str, Any], methods: Mapping[str, Callable[..., Any]]) -> str:
    """One object through the template; raises UsageError for an unknown field or function."""
    return "".join(
        part if position % 2 == 0 else _text(_evaluate(part, fields, methods)) for position, part in enumerate(parts)
    )


def header(parts: Sequence[str], headers: Mapping[str, str]) -> str:
    """The header line of a table: each field replaced by its column's name."""
    names = [
        part if position % 2 == 0 else "".join(headers.get(name, name.upper()) for name in re.findall(r"\.(\w+)", part))
        for position, part in enumerate(parts)
    ]
    return "".join(names)


def _evaluate(action: str, fields: Mapping[str, Any], methods: Mapping[str, Callable[..., Any]]) -> Any:
    piped: list[Any] = []
    for command in _commands(action):
        name, *words = command
        arguments = [_operand(word, fields, methods) for word in words] + piped
        if name.startswith(".") and name[1:] in methods:
            piped = [methods[name[1:]](*arguments)]
        elif name in FUNCTIONS:
            try:
                piped = [FUNCTIONS[name](*arguments)]
            except TypeError as error:
                raise UsageError(f"template: wrong number of args for {name}") from error
        elif arguments:
            raise UsageError(f'template: function "{name}" not defined')
        else:
            piped = [_operand(name, fields, methods)]
    return piped[0] if piped else ""


def _commands(action: str) -> list[list[str]]:
    commands: list[list[str]] = [[]]
    for token in _TOKEN.findall(action):
        if token == "|":
            commands.append([])
        else:
            commands[-1].append(token)
    if not all(commands):
        raise UsageError(f"template parsing error: missing value for command in {{{{{action}}}}}")
    return commands


def _operand(word: str, fields: Mapping[str, Any], methods: Mapping[str, Callable[..., Any]]) -> Any:
    if word == ".":
        return dict(fields)
    if word[0] in '"`':
        return word[1:-1]
    if word.lstrip("-").isdigit():
        return int(word)
    if not word.startswith("."):
        raise UsageError(f'template: function "{word}" not defined')
    value: Any = fields
    for name in word[1:].split("."):
        if not isinstance(value, dict) or name not in value:
            raise UsageError(f"template: can't evaluate field {name}")
        value = value[name]
    return value


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)

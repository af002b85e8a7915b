"""Evaluate the Go templates people write behind `--format`: fields, pipes, conditions, loops, Docker's functions.

A field that is not there is an error, as with Docker, instead of an empty text.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from compose.cli.render.gosyntax import Action, Block, Field, Function, Literal, Pipe, Template, parse
from compose.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["compile_format", "header", "is_table", "parse", "render", "to_json"]

_ESCAPES = {r"\t": "\t", r"\n": "\n"}
_VERB = re.compile(r"%([-+# 0]*\d*(?:\.\d+)?)([a-zA-Z%])")


def to_json(value: Any) -> str:
    """Compact JSON, as Go's encoder without HTML escaping writes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key, "")  # the zero value of a map of strings
            continue
        if not isinstance(value, (list, str)) or not isinstance(key, int):
            raise UsageError(f"template: error calling index: cannot index {_text(value)} with {key!r}")
        if not 0 <= key < len(value):
            raise UsageError(f"template: error calling index: index out of range: {key}")
        value = value[key]
    return value


def _printf(form: str, *values: Any) -> str:
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        flags, verb = match.groups()
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        if verb == "q":
            return f"%{flags}s" % json.dumps(str(value), ensure_ascii=False)
        if verb in "vst":
            return f"%{flags}s" % _text(value)
        try:
            return str(f"%{flags}{verb}" % value)
        except (TypeError, ValueError):
            return f"%!{verb}({_text(value)})"

    return _VERB.sub(one, form)


def _slice(value: Any, begin: int = 0, end: int | None = None) -> Any:
    if not isinstance(value, (list, str)) or not 0 <= begin <= (len(value) if end is None else end) <= len(value):
        raise UsageError(f"template: error calling slice: cannot slice {_text(value)} at {begin}:{end}")
    return value[begin:end]


def _equal(first: Any, *others: Any) -> bool:
    return any(first == other for other in others)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "json": to_json,
    "upper": lambda value: str(value).upper(),
    "lower": lambda value: str(value).lower(),
    "title": lambda value: str(value).title(),
    "println": lambda *values: " ".join(map(_text, values)) + "\n",
    "print": lambda *values: " ".join(map(_text, values)),
    "printf": _printf,
    "join": lambda value, separator: separator.join(map(_text, value or ())),
    "split": lambda value, separator: str(value).split(separator),
    "truncate": lambda value, length: str(value)[: int(length)],
    "pad": lambda value, before, after: " " * int(before) + str(value) + " " * int(after) if value else value,
    "index": _index,
    "slice": _slice,
    "len": lambda value: len(value or ()),
    "not": lambda value: not value,
    "and": lambda *values: next((value for value in values if not value), values[-1]),
    "or": lambda *values: next((value for value in values if value), values[-1]),
    "eq": _equal,
    "ne": lambda first, second: first != second,
    "lt": lambda first, second: first < second,
    "le": lambda first, second: first <= second,
    "gt": lambda first, second: first > second,
    "ge": lambda first, second: first >= second,
}


def is_table(source: str) -> bool:
    """Whether a header line is asked for: `table {{.Name}}`."""
    return source.startswith("table")


def compile_format(source: str) -> Template:
    r"""The template of a list's `--format`: without `table`, `\t` and `\n` replaced. Raises UsageError."""
    text = source.removeprefix("table").strip() if is_table(source) else source
    for written, meant in _ESCAPES.items():
        text = text.replace(written, meant)
    return parse(text)


def render(template: Template, fields: Mapping[str, Any], methods: Mapping[str, Callable[..., Any]]) -> str:
    """One object through the template; raises UsageError for an unknown field or function."""
    return _Scope({"$": fields}, methods).text(template, fields)


def header(template: Template, headers: Mapping[str, str]) -> str:
    """The header line of a table: each field replaced by its column's name."""
    names = []
    for node in template:
        if isinstance(node, Block):
            names.append(header(node.then, headers))
        elif isinstance(node, Action):
            found = re.findall(r"\.(\w+)", node.source)
            names.append("".join(headers.get(name, name.upper()) for name in found))
        else:
            names.append(node)
    return "".join(names)


class _Scope:
    """Variables that are set, and the methods of the outermost object."""

    def __init__(self, variables: Mapping[str, Any], methods: Mapping[str, Callable[..., Any]]) -> None:
        self._variables = dict(variables)
        self._methods = methods

    def text(self, nodes: Iterable[Any], dot: Any) -> str:
        """What the nodes print."""
        return "".join(self._node(node, dot) for node in nodes)

    def _node(self, node: Any, dot: Any) -> str:
        if isinstance(node, str):
            return node
        if isinstance(node, Block):
            return self._range(node, dot) if node.kind == "range" else self._condition(node, dot)
        value = self._pipe(node.pipe, dot)
        for name in node.pipe.names:
            self._variables[name] = value
        return "" if node.pipe.names else _text(value)

    def _condition(self, block: Block, dot: Any) -> str:
        value = self._pipe(block.pipe, dot)
        inner = self._with(dict.fromkeys(block.pipe.names, value))
        if not value:
            return inner.text(block.otherwise, dot)
        return inner.text(block.then, value if block.kind == "with" else dot)

    def _range(self, block: Block, dot: Any) -> str:
        value = self._pipe(block.pipe, dot)
        if not value:
            return self.text(block.otherwise, dot)
        if isinstance(value, dict):
            pairs: Iterable[tuple[Any, Any]] = sorted(value.items())
        elif isinstance(value, (list, tuple)):
            pairs = enumerate(value)
        else:
            raise UsageError(f"template: range can't iterate over {_text(value)}")
        names = block.pipe.names
        pieces = []
        for pair in pairs:
            bound = dict(zip(names, pair if len(names) > 1 else pair[1:], strict=False))
            pieces.append(self._with(bound).text(block.then, pair[1]))
        return "".join(pieces)

    def _with(self, variables: Mapping[str, Any]) -> _Scope:
        return _Scope({**self._variables, **variables}, self._methods)

    def _pipe(self, pipe: Pipe, dot: Any) -> Any:
        piped: list[Any] = []
        for first, *rest in pipe.commands:
            arguments = [self._operand(operand, dot) for operand in rest] + piped
            piped = [self._command(first, arguments, dot)]
        return piped[0]

    def _command(self, first: Any, arguments: list[Any], dot: Any) -> Any:
        if isinstance(first, Function):
            return _call(first.name, FUNCTIONS.get(first.name), arguments)
        if isinstance(first, Field) and first.of is None and first.names[-1:] and first.names[-1] in self._methods:
            return _call(first.names[-1], self._methods[first.names[-1]], arguments)
        if arguments:
            raise UsageError("template: can't give argument to non-function")
        return self._operand(first, dot)

    def _operand(self, operand: Any, dot: Any) -> Any:
        if isinstance(operand, Literal):
            return operand.value
        if isinstance(operand, Function):
            return _call(operand.name, FUNCTIONS.get(operand.name), [])
        value = self._base(operand.of, dot)
        for name in operand.names:
            if not isinstance(value, dict) or name not in value:
                raise UsageError(f"template: can't evaluate field {name}")
            value = value[name]
        return value

    def _base(self, of: Any, dot: Any) -> Any:
        if of is None:
            return dot
        if isinstance(of, Pipe):
            return self._pipe(of, dot)
        if isinstance(of, Field):
            return self._operand(of, dot)
        if of not in self._variables:
            raise UsageError(f'template parsing error: template: :1: undefined variable "{of}"')
        return self._variables[of]


def _call(name: str, function: Callable[..., Any] | None, arguments: list[Any]) -> Any:
    if function is None:
        raise UsageError(f'template parsing error: template: :1: function "{name}" not defined')
    try:
        return function(*arguments)
    except (TypeError, IndexError) as error:
        raise UsageError(f"template: wrong number or kind of args for {name}") from error


def _text(value: Any) -> str:
    """A value as Go's `%v` prints it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "<nil>"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_text(item)}" for key, item in sorted(value.items())) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_text, value)) + "]"
    return str(value)

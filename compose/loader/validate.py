"""Checks a tree against a JSON schema, names the place of each problem and takes the faulty value out.

This walks our own schemas' subset of JSON Schema (in them the alternatives of a `oneOf` differ by type). The library
`jsonschema` agrees with it, as a test shows, but takes 140 ms to import, has no marks, and does not know which of the
alternatives was meant.
"""

from __future__ import annotations

import functools
import json
import re
from typing import TYPE_CHECKING, Any

from compose.errors import SchemaError
from compose.loader.scalars import Timestamp
from compose.loader.tree import Map, Path, Seq, path_text, plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.errors import SourceMark
    from compose.loader.report import Report

    Schema = dict[str, Any]


def validate(tree: Map, schema: Schema, report: Report) -> None:
    """Report and prune whatever does not fit the schema."""
    _Validator(schema, report).check(tree, schema, (), tree.mark)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str) and not isinstance(value, Timestamp),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}


@functools.cache
def _pattern(pattern: str) -> re.Pattern[str]:
    # `$` of the schema's dialect is the end of the text, Python's also matches before a last newline
    return re.compile(pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern)


class _Validator:
    def __init__(self, schema: Schema, report: Report) -> None:
        self.definitions = {
            name: value for key in ("definitions", "$defs") for name, value in schema.get(key, {}).items()
        }
        self.report = report

    def check(self, value: Any, schema: Schema, path: Path, mark: SourceMark | None) -> bool:
        """Whether the value may stay; what is wrong with parts of it is already reported and pruned."""
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        if "oneOf" in schema:
            return self._alternatives(value, schema["oneOf"], path, mark)
        types = schema.get("type")
        if types is not None and not self._has_type(value, types):
            return self._wrong_type(value, (types,) if isinstance(types, str) else tuple(types), path, mark)
        if isinstance(value, Map):
            return self._mapping(value, schema, path, mark)
        if isinstance(value, Seq):
            return self._sequence(value, schema, path, mark)
        return self._scalar(value, schema, path, mark)

    def _has_type(self, value: Any, types: str | list[str]) -> bool:
        if isinstance(types, str):
            return _TYPES[types](value)
        return any(_TYPES[name](value) for name in types)

    def _alternatives(self, value: Any, choices: list[Schema], path: Path, mark: SourceMark | None) -> bool:
        wanted: list[str] = []
        for choice in choices:
            schema = choice
            while "$ref" in schema:
                schema = self.definitions[schema["$ref"].rpartition("/")[2]]
            if "oneOf" in schema:
                inner = [name for each in schema["oneOf"] for name in self._type_names(each)]
                if self._has_type(value, inner):
                    return self.check(value, schema, path, mark)
                wanted.extend(inner)
                continue
            types = schema.get("type", [])
            if self._has_type(value, types):
                return self.check(value, schema, path, mark)
            wanted.extend([types] if isinstance(types, str) else types)
        return self._wrong_type(value, tuple(dict.fromkeys(wanted)), path, mark)

    def _type_names(self, schema: Schema) -> list[str]:
        while "$ref" in schema:
            schema = self.definitions[schema["$ref"].rpartition("/")[2]]
        types = schema.get("type", [])
        return [types] if isinstance(types, str) else list(types)

    def _wrong_type(self, value: Any, types: tuple[str, ...], path: Path, mark: SourceMark | None) -> bool:
        names = sorted("mapping" if name == "object" else name for name in types)
        wanted = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
        if isinstance(value, Timestamp):
            message, expected = f"{path_text(path)} must be a {wanted}, not a date", f'quotes: "{value}"'
        else:
            message, expected = f"{path_text(path)} must be a {wanted}".lstrip(), f"a {wanted}, not {_shown(value)}"
        self.report.add(SchemaError, message, path, mark, expected=expected)
        return False

    def _mapping(self, value: Map, schema: Schema, path: Path, mark: SourceMark | None) -> bool:
        properties: dict[str, Schema] = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        closed = schema.get("additionalProperties") is False
        missing = [name for name in schema.get("required", ()) if name not in value]
        unknown: list[str] = []
        for key, item in list(value.items()):
            below = properties.get(key)
            if below is None:
                below = next((each for pattern, each in patterns.items() if _pattern(pattern).search(key)), None)
            if below is None:
                if closed:
                    unknown.append(key)
            elif below and not self.check(item, below, (*path, key), value.mark_of(key)):
                del value[key]
        for key in unknown:
            self._unknown_key(value, key, properties, patterns, path)
            del value[key]
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            word = "property" if len(missing) == 1 else "properties"
            text = f"{path_text(path)} missing {word} {names}".lstrip()
            self.report.add(SchemaError, text, path, value.mark or mark, expected=_described(schema, missing[0]))
            return False
        return True

    def _unknown_key(
        self, value: Map, key: str, properties: dict[str, Schema], patterns: dict[str, Schema], path: Path
    ) -> None:
        from compose.model.project import nearest

        allowed = "" if properties else _allowed(patterns)
        suggestion = nearest(key, properties) if properties else ""
        text = f"{path_text(path)} additional properties '{key}' not allowed".lstrip()
        expected = "" if suggestion else allowed
        # the owner stays whole: only this key is lost, so later phases may still judge the rest
        damaged = set(self.report.damaged)
        self.report.add(SchemaError, text, path, value.mark_of(key), expected=expected, suggestion=suggestion)
        if suggestion in ("", *value) and len(path) >= 2:
            self.report.damaged = damaged

    def _sequence(self, value: Seq, schema: Schema, path: Path, mark: SourceMark | None) -> bool:
        items = schema.get("items")
        if items:
            wrong = [
                index
                for index, (item, item_mark) in enumerate(value.marked())
                if not self.check(item, items, (*path, index), item_mark)
            ]
            for index in reversed(wrong):
                del value[index], value.marks[index]
        if schema.get("uniqueItems") and len(value) > 1:
            self._unique(value, path)
        return True

    def _unique(self, value: Seq, path: Path) -> None:
        seen: dict[str, int] = {}
        for index, (item, mark) in enumerate(value.marked()):
            key = json.dumps(plain(item), sort_keys=True)
            if key in seen:
                first = seen[key]
                related = tuple(filter(None, (value.marks[first],)))
                text = f"{path_text(path)} items at {first} and {index} are equal"
                self.report.add(SchemaError, text, path, mark, expected="different items", related=related)
            seen.setdefault(key, index)

    def _scalar(self, value: Any, schema: Schema, path: Path, mark: SourceMark | None) -> bool:
        message, suggestion = self._complaint(value, schema)
        if not message:
            return True
        self.report.add(SchemaError, f"{path_text(path)} {message}", path, mark, suggestion=suggestion)
        return False

    def _complaint(self, value: Any, schema: Schema) -> tuple[str, str]:
        if "enum" in schema and value not in schema["enum"]:
            from compose.model.project import nearest

            choices = ", ".join(f"'{choice}'" for choice in schema["enum"])
            return f"value must be one of {choices}, not '{value}'", nearest(str(value), schema["enum"])
        if isinstance(value, str) and "pattern" in schema and not _pattern(schema["pattern"]).search(value):
            return f"'{value}' does not match pattern '{schema['pattern']}'", ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            if "minimum" in schema and value < schema["minimum"]:
                return f"must be greater than or equal to {schema['minimum']}", ""
            if "maximum" in schema and value > schema["maximum"]:
                return f"must be less than or equal to {schema['maximum']}", ""
        return "", ""


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, Map):
        return "a mapping"
    if isinstance(value, Seq):
        return "a list"
    text = "true" if value is True else "false" if value is False else str(value)
    kind = "boolean" if isinstance(value, bool) else "number" if isinstance(value, int | float) else "string"
    return f"the {kind} {text[:60]!r}" if kind == "string" else f"the {kind} {text[:60]}"


def _allowed(patterns: dict[str, Schema]) -> str:
    if any(pattern.startswith("^[a-zA-Z0-9._-]") for pattern in patterns):
        return "a name of letters, digits, dots, underscores and hyphens"
    return ""


def _described(schema: Schema, name: str) -> str:
    choices = schema.get("properties", {}).get(name, {}).get("enum")
    return f"{name}: {' | '.join(choices)}" if choices else ""

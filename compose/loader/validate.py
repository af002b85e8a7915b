"""Checks a tree against a JSON schema, names the place of each problem and takes the faulty value out.

`jsonschema` decides; here its errors become located messages. It does not know which alternative of a `oneOf` was
meant: in our schemas they differ by type, so the one that takes the value's type is the one whose errors are told.
Importing it takes 90 ms, checking 50 services 26 ms: it is imported only when a project is not in the cache.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Any

import schemas
from compose.errors import SchemaError
from compose.loader.tree import Map, Path, Seq, find_mark, get, path_text
from compose.model.formats import Timestamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from jsonschema.protocols import Validator

    from compose.loader.report import Report

    Schema = dict[str, Any]
    Error = Any
    """A ValidationError, of which the library's types say that each attribute may be unset."""
    Describe = Callable[["_Findings", Error, Path], None]


_KINDS = {"array": "a list", "null": "nothing", "integer": "a whole number"}
_PAIR = re.compile(r"([a-zA-Z_][\w.-]*)[:= ] *(\S.*)")
_HEALTHCHECK_DURATIONS = ("interval", "timeout", "start_period", "start_interval")
_DURATIONS = (*_HEALTHCHECK_DURATIONS, "stop_grace_period", "delay", "window", "monitor")
MAX_SHOWN = 60
SECTIONS = ("networks", "volumes", "secrets", "configs", "models", "include")
MAX_SUGGESTIONS = 20
"""Unknown keys of one mapping for which the nearest known one is looked for: that takes half a millisecond each."""


def validate(tree: Map, name: str, report: Report) -> None:
    """Report and prune whatever does not fit the schema called `name`. Raises KeyError if there is none."""
    findings = _Findings(tree, report)
    for error in validator(name).iter_errors(tree):
        findings.take(error)
    findings.prune()


@functools.cache
def validator(name: str) -> Validator:
    """The validator of a schema; dates that YAML makes are no strings to it. Raises KeyError."""
    from jsonschema import Draft7Validator
    from jsonschema.validators import extend

    def is_string(_checker: object, value: object) -> bool:
        return isinstance(value, str) and not isinstance(value, Timestamp)

    checker = Draft7Validator.TYPE_CHECKER.redefine("string", is_string)
    kind = extend(Draft7Validator, {"uniqueItems": _unique_items}, type_checker=checker)  # type: ignore[no-untyped-call]
    schema = schemas.load(name)
    made: Validator = kind(_prepared(schema, schema.get("definitions", {})))
    return made


def _prepared(schema: Any, definitions: Schema) -> Any:
    """The schema without references, which cost a third of the time, and without descriptions.

    `$` of the schema's dialect is the end of the text, Python's also matches before a last newline.
    """
    if isinstance(schema, list):
        return [_prepared(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _prepared(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    made: Schema = {}
    for key, value in schema.items():
        if key in ("description", "definitions"):
            continue
        if key == "patternProperties":
            made[key] = {_to_the_end(pattern): _prepared(below, definitions) for pattern, below in value.items()}
        elif key == "pattern":
            made[key] = _to_the_end(value)
        else:
            made[key] = _prepared(value, definitions)
    return made


def _to_the_end(pattern: str) -> str:
    return pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern


class _Findings:
    def __init__(self, tree: Map, report: Report) -> None:
        self.tree = tree
        self.report = report
        self.faulty: list[Path] = []

    def take(self, error: Error) -> None:
        """Report an error of the library."""
        path = tuple(error.absolute_path)
        if error.validator == "oneOf":
            self._alternatives(error, path)
            return
        describe = _DESCRIBE.get(str(error.validator), _other)
        describe(self, error, path)

    def fail(self, message: str, path: Path, *, at: Path | None = None, **more: Any) -> None:
        """Report a problem with the value at a path."""
        mark = find_mark(self.tree, path if at is None else at)
        self.report.add(SchemaError, f"{path_text(path)} {message}".lstrip(), path, mark, **more)

    def prune(self) -> None:
        """Take the faulty values out, the last items of a sequence first."""
        for path in sorted(set(self.faulty), key=_last_first):
            owner = get(self.tree, path[:-1]) if path else None
            if isinstance(owner, Map):
                owner.pop(str(path[-1]), None)
            elif isinstance(owner, Seq) and isinstance(path[-1], int) and path[-1] < len(owner):
                del owner[path[-1]], owner.marks[path[-1]]

    def _alternatives(self, error: Error, path: Path) -> None:
        for branch in _branches(error):
            if not _is_of_another_type(branch):
                for inner in branch:
                    self.take(inner)
                return
        types = dict.fromkeys(_wanted(error))
        if types:
            self.wrong_type(error.instance, types, path)
        else:  # it fits more than one alternative
            _other(self, error, path)

    def wrong_type(self, value: Any, types: Iterable[str], path: Path) -> None:
        """Report a value of none of the types."""
        names = sorted("mapping" if name == "object" else name for name in types)
        wanted = f"{', '.join(names[:-1])} or {names[-1]}" if len(names) > 1 else names[0]
        self.faulty.append(path)
        if isinstance(value, Timestamp):
            self.fail(f"must be a {wanted}, not a date", path, expected=f'quotes: "{value.written}"')
        else:
            kinds = " or ".join(_KINDS.get(name, f"a {name}") for name in names)
            hint = f" ({advice})" if (advice := self._advice(value, names, path)) else ""
            self.fail(f"must be a {wanted}", path, expected=f"{kinds}, not {_shown(value)}{hint}")

    def _advice(self, value: Any, wanted: list[str], path: Path) -> str:
        """How to write it, for mistakes that are often made."""
        if value is None:
            owner = get(self.tree, path[:-1])
            followed = isinstance(owner, Map) and path[-1] != next(reversed(owner))
            return "what belongs to it must be indented more" if followed and "mapping" in wanted else ""
        if isinstance(value, Map) and "string" in wanted and isinstance(path[-1], int) and len(value) == 1:
            key, inner = next(iter(value.items()))
            return "" if isinstance(inner, dict | list) else f'"{key}={inner}", or the list as a mapping without dashes'
        if type(value) is int and path[-1] in _DURATIONS and "string" in wanted:
            return f'with a unit: "{value}s"'
        if not isinstance(value, str) or len(value) > MAX_SHOWN or "\n" in value:
            return ""
        if "mapping" in wanted:
            pair = _PAIR.match(value)
            return f"{pair[1]}: {pair[2]}, with a colon and a space" if pair else ""
        return f"- {value}" if "array" in wanted else ""


def _last_first(path: Path) -> tuple[int, tuple[tuple[int, str], ...]]:
    return -len(path), tuple((-part, "") if isinstance(part, int) else (0, part) for part in path)


def _branches(error: Error) -> list[list[Error]]:
    """The errors of each alternative of a `oneOf`."""
    found: dict[int, list[Error]] = {}
    for inner in error.context or ():
        found.setdefault(int(inner.relative_schema_path[0]), []).append(inner)
    return list(found.values())


def _is_of_another_type(errors: list[Error]) -> bool:
    """Whether an alternative does not take the value's type, or any of its own alternatives does not."""
    for error in errors:
        if error.relative_path:
            continue
        if error.validator == "type":
            return True
        if error.validator == "oneOf" and all(map(_is_of_another_type, _branches(error))):
            return True
    return False


def _wanted(error: Error) -> list[str]:
    """The types that some alternative would take."""
    if error.validator == "oneOf":
        return [name for inner in error.context or () if not inner.relative_path for name in _wanted(inner)]
    types = error.validator_value if error.validator == "type" else []
    return [types] if isinstance(types, str) else list(types)


def _type(findings: _Findings, error: Error, path: Path) -> None:
    findings.wrong_type(error.instance, _wanted(error), path)


def _unknown_keys(findings: _Findings, error: Error, path: Path) -> None:
    from compose.model.project import nearest

    properties, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", {})
    unknown = 0
    names = any(pattern.startswith("^[a-zA-Z0-9._-]") for pattern in patterns) and not properties
    for key in error.instance:
        if key in properties or any(re.search(pattern, key) for pattern in patterns):
            continue
        unknown += 1
        suggestion = nearest(key, properties) if properties and unknown <= MAX_SUGGESTIONS else ""
        expected = "a name of letters, digits, dots, underscores and hyphens" if names else ""
        if len(path) == 2 and path[0] == "services" and path[1] in SECTIONS and suggestion not in error.instance:
            suggestion, expected = "", f"`{path[1]}:` without indentation: here it is a service of that name"
        # the owner stays whole: only this key is lost, so later phases may still judge the rest
        damaged = set(findings.report.damaged)
        findings.faulty.append((*path, key))
        findings.fail(
            f"additional properties '{key}' not allowed",
            path,
            at=(*path, key),
            expected=expected,
            suggestion=suggestion,
        )
        if (not suggestion or suggestion in error.instance) and len(path) >= 2:
            findings.report.damaged = damaged


def _missing(findings: _Findings, error: Error, path: Path) -> None:
    # one error for each that is missing: the first tells of all
    missing = [name for name in error.validator_value if name not in error.instance]
    if not error.message.startswith(repr(missing[0])):
        return
    names = ", ".join(f"'{name}'" for name in missing)
    choices = error.schema.get("properties", {}).get(missing[0], {}).get("enum")
    expected = f"{missing[0]}: {' | '.join(choices)}" if choices else ""
    findings.faulty.append(path)
    word = "property" if len(missing) == 1 else "properties"
    where = getattr(error.instance, "mark", None)
    text = f"{path_text(path)} missing {word} {names}".lstrip()
    findings.report.add(SchemaError, text, path, where or find_mark(findings.tree, path), expected=expected)


def _enum(findings: _Findings, error: Error, path: Path) -> None:
    from compose.model.project import nearest

    choices = ", ".join(f"'{choice}'" for choice in error.validator_value)
    suggestion = nearest(str(error.instance), map(str, error.validator_value))
    findings.faulty.append(path)
    findings.fail(f"value must be one of {choices}, not '{error.instance}'", path, suggestion=suggestion)


def _pattern(findings: _Findings, error: Error, path: Path) -> None:
    pattern = error.validator_value.replace(r"\Z", "$")
    findings.faulty.append(path)
    findings.fail(f"'{error.instance}' does not match pattern '{pattern}'", path)


def _minimum(findings: _Findings, error: Error, path: Path) -> None:
    findings.faulty.append(path)
    findings.fail(f"must be greater than or equal to {error.validator_value}", path)


def _maximum(findings: _Findings, error: Error, path: Path) -> None:
    findings.faulty.append(path)
    findings.fail(f"must be less than or equal to {error.validator_value}", path)


def _unique_items(_validator: Validator, unique: bool, items: Any, _schema: Schema) -> Iterable[Error]:
    """The keyword, for lists whose items are equal as the reference takes it."""
    from jsonschema import ValidationError

    if unique and isinstance(items, list) and next(_equal_pairs(items), None) is not None:
        yield ValidationError("items are equal")


def _equal_pairs(items: list[Any]) -> Iterator[tuple[int, int]]:
    """Each item that equals an earlier one, after the first such; only those that read alike are compared."""
    alike: dict[Any, list[int]] = {}
    for index, item in enumerate(items):
        others = alike.setdefault(item if type(item) is str else _reading(item), [])
        first = next((at for at in others if _equal(items[at], item)), None)
        if first is not None:
            yield first, index
            continue
        others.append(index)
        if type(item) is str and (number := _reading(item)) != item:
            alike.setdefault(number, []).append(index)


def _reading(value: Any) -> Any:
    """What equal values have in common; text that reads as a number is the number."""
    if isinstance(value, dict):
        return frozenset((key, _reading(item)) for key, item in value.items())
    if isinstance(value, list):
        return tuple(map(_reading, value))
    if value is None or isinstance(value, bool):
        return str(value)
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return str(value)


def _equal(earlier: Any, later: Any) -> bool:
    """Equality of the reference's validator, to which a number also equals text before it that reads as the number."""
    if isinstance(later, dict):
        if not isinstance(earlier, dict) or earlier.keys() != later.keys():
            return False
        return all(_equal(earlier[key], item) for key, item in later.items())
    if isinstance(later, list):
        return isinstance(earlier, list) and len(earlier) == len(later) and all(map(_equal, earlier, later))
    if isinstance(later, int | float) and not isinstance(later, bool) and not isinstance(earlier, bool):
        return bool(_reading(earlier) == _reading(later))
    return type(earlier) is type(later) and bool(earlier == later)


def _equal_items(findings: _Findings, error: Error, path: Path) -> None:
    for first, index in _equal_pairs(error.instance):
        related = tuple(filter(None, (error.instance.marks[first],)))
        text = f"items at {first} and {index} are equal"
        findings.fail(text, path, at=(*path, index), expected="different items", related=related)


def _other(findings: _Findings, error: Error, path: Path) -> None:
    findings.faulty.append(path)
    findings.fail(f"does not fit the schema: {error.message}", path)


_DESCRIBE: dict[str, Describe] = {
    "type": _type,
    "additionalProperties": _unknown_keys,
    "required": _missing,
    "enum": _enum,
    "pattern": _pattern,
    "minimum": _minimum,
    "maximum": _maximum,
    "uniqueItems": _equal_items,
}


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

"""Frozen keyword-only records with slots, as `dataclasses` makes them, without the cost of making them.

`@dataclass(frozen=True, kw_only=True, slots=True)` compiles the methods of every class at import: 70 ms for this
package, more than a whole warm command may take. Here one generic `__init__` serves all classes. Type checkers see
dataclasses (`dataclass_transform`), and `dataclasses.fields` and `replace` work on instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self, dataclass_transform

if TYPE_CHECKING:
    from collections.abc import Callable


class Codec(NamedTuple):
    """How a field crosses between tree and model."""

    kind: str = "plain"
    """A row of the binder's and of the writer's table: text, number, size, duration, mode, mapping, nested, ..."""
    of: type | None = None
    """The class of nested objects."""
    keep: bool = False
    """Written even if empty."""
    keep_json: bool = False
    """Written to JSON (as null or empty) even if empty; left out of YAML."""
    json_name: str = ""
    """The key in JSON where it differs from the attribute's name."""


class Spec(NamedTuple):
    """A field as declared: its default (or the factory of one) and its codec."""

    default: Any = None
    factory: Callable[[], Any] | None = None
    codec: Codec = Codec()


class _DataclassFields:
    """`__dataclass_fields__`, built when someone asks, so that `dataclasses.replace` works."""

    def __get__(self, instance: object, owner: type[Record]) -> dict[str, Any]:
        import dataclasses

        made: dict[str, Any] = {}
        for name, spec in owner.__specs__.items():
            made[name] = field = dataclasses.field(kw_only=True)
            field.name = name
            field.metadata = {"codec": spec.codec}
            field._field_type = dataclasses._FIELD  # type: ignore[attr-defined]  # noqa: SLF001
        return made


class RecordMeta(type):
    """Turns annotations with defaults into slots and a table of `Spec`s."""

    __specs__: dict[str, Spec]

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> RecordMeta:
        specs: dict[str, Spec] = {}
        for base in bases:
            specs.update(getattr(base, "__specs__", {}))
        own: list[str] = []
        for key in namespace.get("__annotations__", {}):
            if key.startswith("__"):
                continue
            default = namespace.pop(key, None)
            specs[key] = default if isinstance(default, Spec) else Spec(default)
            own.append(key)
        namespace["__slots__"] = tuple(own)
        made = super().__new__(mcs, name, bases, namespace)
        made.__specs__ = specs
        return made


_set = object.__setattr__


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Record(metaclass=RecordMeta):
    """Base of the model's classes."""

    __dataclass_fields__: Any = _DataclassFields()

    def __init__(self, **values: Any) -> None:
        for name, spec in type(self).__specs__.items():
            if name in values:
                _set(self, name, values.pop(name))
            elif spec.factory is not None:
                _set(self, name, spec.factory())
            else:
                _set(self, name, spec.default)
        if values:
            raise TypeError(f"{type(self).__name__} has no attribute {', '.join(values)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot assign {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} is immutable: cannot delete {name}")

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in type(self).__specs__)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        """Only what differs from the defaults."""
        said = []
        for name, spec in type(self).__specs__.items():
            value = getattr(self, name)
            if value != (spec.factory() if spec.factory else spec.default):
                said.append(f"{name}={value!r}")
        return f"{type(self).__name__}({', '.join(said)})"

    def replace(self, **changes: Any) -> Self:
        """A copy with some attributes changed."""
        values = {name: getattr(self, name) for name in type(self).__specs__}
        values.update(changes)
        return type(self)(**values)

    __replace__ = replace

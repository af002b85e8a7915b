"""Binds a canonical tree to the model, by the codec of each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from compose.errors import SchemaError
from compose.loader import units
from compose.loader.interpolate import to_bool, to_float, to_int
from compose.loader.scalars import sprint
from compose.loader.tree import Map, Path, Seq, find_mark, plain
from compose.model.formats import float32
from compose.model.limits import UlimitsConfig
from compose.model.record import Codec, Record

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.report import Report

    Reader = Callable[["Binder", Any, Codec, Path], Any]

R = TypeVar("R", bound=Record)
SECRET_VALUE = "x-#value"
"""Key under which the value of a secret or config from a variable travels to the binder."""


class Binder:
    """Binds values and reports those that cannot be."""

    def __init__(self, tree: Map, report: Report) -> None:
        self.tree = tree
        self.report = report

    def record(self, kind: type[R], value: Any, path: Path, **given: Any) -> R:
        """One object of the model."""
        values: dict[str, Any] = dict(given)
        specs = kind.__specs__
        extensions: dict[str, Any] = {}
        for key, item in value.items() if isinstance(value, dict) else ():
            if key.startswith("x-"):
                if key != SECRET_VALUE:
                    extensions[key] = plain(item)
                continue
            spec = specs.get(key)
            if spec is None or (item is None and spec.codec.kind not in _TAKES_NULL):
                continue
            here = (*path, key)
            try:
                values[key] = READERS[spec.codec.kind](self, item, spec.codec, here)
            except ValueError as error:
                self.fail(str(error), here, spec.codec.kind)
        if extensions and "extensions" in specs:
            values["extensions"] = extensions
        return kind(**values)

    def fail(self, message: str, path: Path, kind: str = "") -> None:
        """Report a value that does not bind."""
        expected = {"size": units.SIZES, "duration": units.UNITS, "optional_duration": units.UNITS}.get(kind, "")
        self.report.add(SchemaError, message, path, find_mark(self.tree, path), expected=expected)


_TAKES_NULL = frozenset(("environment", "mapping", "text_mapping"))


def _text(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return sprint(value)


def _flag(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return to_bool(value) if isinstance(value, str) else bool(value)


def _number(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    if isinstance(value, str):
        return to_int(value)
    if value != value or not -(2**63) <= value < 2**63:  # noqa: PLR0124  (not a number)
        raise ValueError(f"integer out of range: {sprint(value)}")
    return int(value)


_BITS = {"unsigned16": 16, "unsigned32": 32}


def _unsigned(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    number = _number(_binder, value, _codec, _path)
    bits = _BITS.get(_codec.kind, 64)
    if number < 0 or number >> bits or (not isinstance(value, str) and value < 0):
        raise ValueError(f"cannot parse value as 'uint{bits}': {sprint(value)} overflows uint")
    return number


def _float(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    number = to_float(value) if isinstance(value, str) else float(value)
    if number != number or number in (float("inf"), float("-inf")):  # noqa: PLR0124  (not a number)
        raise ValueError(f"not a finite number: {sprint(value)}")
    return float32(number)


def _size(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return units.parse_size(value) if isinstance(value, str) else _number(_binder, value, _codec, _path)


def _duration(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return units.parse_duration(sprint(value))


def _mode(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    if not isinstance(value, str):
        return _mode_number(value)
    try:
        return int(value.replace("_", "?"), 8)  # Python's digits may be grouped
    except ValueError:
        raise ValueError(f'invalid mode: "{value}" is not an octal number') from None


def _mode_number(value: Any) -> int:
    if isinstance(value, float) or not 0 <= value < 2**63:
        raise ValueError(f"unexpected value type for mode: {sprint(value)} is no octal number such as 0o440")
    return int(value)


def _octal(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    if isinstance(value, str):
        return _mode(_binder, value, _codec, _path)
    if not 0 <= value < 2**32:
        raise ValueError(f"cannot parse value as 'uint32': {sprint(value)} overflows uint")
    return int(value)


def _count(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    if not isinstance(value, str):
        return _number(_binder, value, _codec, _path)
    if value.lower() == "all":
        return -1
    try:
        return to_int(value)
    except ValueError:
        raise ValueError(f"invalid value \"{value}\", the only value allowed is 'all' or a number") from None


def _strings(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return tuple(map(sprint, value)) if isinstance(value, list) else (sprint(value),)


def _test(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return ("CMD-SHELL", value) if isinstance(value, str) else tuple(map(sprint, value))


def _command(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return units.split_command(value) if isinstance(value, str) else tuple(map(sprint, value))


def _mapping(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    if isinstance(value, Map):
        return {key: "" if item is None else sprint(item) for key, item in value.items()}
    pairs = (sprint(item).partition("=") for item in value or ())
    return {key: text for key, _, text in pairs}


def _text_mapping(binder: Binder, value: Any, codec: Codec, path: Path) -> Any:
    for key, item in value.items() if isinstance(value, Map) else ():
        if isinstance(item, (bool, float, dict, list)):
            raise ValueError(f"{key} must be a string")  # noqa: TRY004 - binders say what is wrong by ValueError
    return _mapping(binder, value, codec, path)


def _environment(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    if isinstance(value, Map):
        return {key: None if item is None else sprint(item) for key, item in value.items()}
    found: dict[str, str | None] = {}
    for item in value or ():
        key, assigned, text = sprint(item).partition("=")
        if key and key[-1].isspace():
            raise ValueError(f"environment variable {key} is declared with a trailing space")
        found[key] = text if assigned else None
    return found


def _multi_options(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return {key: tuple(map(sprint, item)) if isinstance(item, list) else (sprint(item),) for key, item in value.items()}


def _hosts(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    found: dict[str, list[str]] = {}
    if isinstance(value, Map):
        for host, item in value.items():
            found[host] = list(map(sprint, item)) if isinstance(item, list) else ["" if item is None else sprint(item)]
    else:
        for item in value:
            line = sprint(item)
            separator = "=" if "=" in line else ":"
            host, separated, addresses = line.partition(separator)
            if not separated:
                raise ValueError(f"invalid additional host, missing IP: {line}")
            found.setdefault(host, []).extend(addresses.split(","))
    for host in found:
        if not host or ":" in host or "=" in host:
            raise ValueError(f"bad host name '{host}'")
    return {host: tuple(_unbracketed(address) for address in addresses) for host, addresses in found.items()}


def _unbracketed(address: str) -> str:
    return address[1:-1] if len(address) > 2 and address[0] == "[" and address[-1] == "]" else address


def _ssh(_binder: Binder, value: Any, _codec: Codec, _path: Path) -> Any:
    return {key: "" if item is None else sprint(item) for key, item in value.items()}


def _nested(binder: Binder, value: Any, codec: Codec, path: Path) -> Any:
    assert codec.of is not None
    return binder.record(codec.of, value, path)


def _nested_list(binder: Binder, value: Any, codec: Codec, path: Path) -> Any:
    items = value if isinstance(value, Seq) else ()
    return tuple(_nested(binder, item, codec, (*path, index)) for index, item in enumerate(items))


def _nested_map(binder: Binder, value: Any, codec: Codec, path: Path) -> Any:
    found: dict[str, Any] = {}
    for key, item in value.items():
        if codec.of is UlimitsConfig and not isinstance(item, Map):
            if not isinstance(item, (str, int)) or isinstance(item, bool):
                raise ValueError(f"{key}: a limit is a whole number, or soft and hard, not {sprint(item)}")
            found[key] = UlimitsConfig(single=to_int(item) if isinstance(item, str) else item)
        else:
            found[key] = None if item is None else _nested(binder, item, codec, (*path, key))
    return found


READERS: dict[str, Reader] = {
    "text": _text,
    "hidden": _text,
    "flag": _flag,
    "opt_out": _flag,
    "tristate": _flag,
    "number": _number,
    "optional_number": _number,
    "unsigned": _unsigned,
    "unsigned16": _unsigned,
    "unsigned32": _unsigned,
    "optional_unsigned": _unsigned,
    "float": _float,
    "size": _size,
    "duration": _duration,
    "optional_duration": _duration,
    "mode": _mode,
    "octal": _octal,
    "count": _count,
    "strings": _strings,
    "healthcheck_test": _test,
    "command": _command,
    "mapping": _mapping,
    "text_mapping": _text_mapping,
    "silent_mapping": _mapping,
    "environment": _environment,
    "multi_options": _multi_options,
    "hosts": _hosts,
    "ssh": _ssh,
    "nested": _nested,
    "embedded": _nested,
    "nested_list": _nested_list,
    "nested_map": _nested_map,
}

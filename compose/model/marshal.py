"""Writes the model as the data of `config`: the same keys and values as Docker Compose writes, for YAML and for JSON.

The two differ: JSON has no `x-*` below the top, keeps `command: null` and empty embedded objects, and names a few keys
as Go does by default. The configuration hash is taken over the JSON form, so the order of keys is that of the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.model.fileobject import ConfigObjConfig, SecretConfig
from compose.model.formats import JSON_EXPONENT_FROM, YAML_EXPONENT_FROM, format_duration
from compose.model.limits import UlimitsConfig
from compose.model.service import EnvFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.model.project import Project
    from compose.model.record import Record

    Writer = Callable[[Any, bool], Any]

_ABSENT = object()
KINDS = ("networks", "volumes", "secrets", "configs", "models")


def project_tree(project: Project, *, json: bool) -> dict[str, Any]:
    """The whole project as `config` prints it, dollars not yet escaped."""
    tree: dict[str, Any] = {"name": project.name} if project.name else {}
    tree["services"] = {name: record_tree(service, json=json) for name, service in sorted(project.services.items())}
    for kind in KINDS:
        resources = getattr(project, kind)
        if resources:
            tree[kind] = {name: record_tree(value, json=json) for name, value in sorted(resources.items())}
    tree.update(_nil_lists(project.extensions) if json else project.extensions)
    return tree


def _nil_lists(value: Any) -> Any:
    """Go decodes an empty list of free data to a nil slice, which is null in JSON."""
    if isinstance(value, dict):
        return {key: _nil_lists(item) for key, item in value.items()}
    return [_nil_lists(item) for item in value] or None if isinstance(value, list) else value


def record_tree(record: Record, *, json: bool) -> Any:
    """One object of the model as data."""
    special = _SPECIAL.get(type(record))
    if special is not None:
        return special(record, json)
    return _fields(record, json)


def _fields(record: Record, json: bool) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name, spec in type(record).__specs__.items():
        codec = spec.codec
        value = getattr(record, name)
        if codec.kind == "extensions":
            if not json:
                tree.update(value)
            continue
        written = WRITERS[codec.kind](value, json)
        if written is _ABSENT or (not (value and written) and codec.kind in _EMPTY_IS_ABSENT and not codec.keep):
            if not (json and codec.keep_json):
                continue
            written = None if written is _ABSENT else written
        tree[codec.json_name if json and codec.json_name else name] = written
    return tree


def escape_dollars(value: Any) -> Any:
    """The data with every `$` doubled, so that it loads as what it says."""
    if isinstance(value, str):
        return value.replace("$", "$$") if "$" in value else value
    if isinstance(value, dict):
        return {escape_dollars(key): escape_dollars(item) for key, item in value.items()}
    if isinstance(value, list):
        return [escape_dollars(item) for item in value]
    return value


def _same(value: Any, _json: bool) -> Any:
    return value


def _or_absent(value: Any, _json: bool) -> Any:
    return _ABSENT if value is None else value


def _float(value: Any, json: bool) -> Any:
    written_out = abs(value) < (JSON_EXPONENT_FROM if json else YAML_EXPONENT_FROM)
    return int(value) if written_out and float(value).is_integer() else value


def _size(value: Any, _json: bool) -> Any:
    return str(value)


def _duration(value: Any, _json: bool) -> Any:
    return format_duration(value) if value else ""


def _optional_duration(value: Any, _json: bool) -> Any:
    return _ABSENT if value is None else format_duration(value)


def _mode(value: Any, _json: bool) -> Any:
    return _ABSENT if value is None else f"0{value:o}"


def _list(value: Any, _json: bool) -> Any:
    return list(value)


def _command(value: Any, _json: bool) -> Any:
    return _ABSENT if value is None else list(value)


def _map(value: Any, _json: bool) -> Any:
    return dict(sorted(value.items()))


def _multi_options(value: Any, _json: bool) -> Any:
    return {key: list(items) for key, items in sorted(value.items())}


def _hosts(value: Any, _json: bool) -> Any:
    return sorted(f"{host}={address}" for host, addresses in value.items() for address in addresses)


def _ssh(value: Any, _json: bool) -> Any:
    return [f"{key}={path}" if path else key for key, path in sorted(value.items())]


def _nested(value: Any, json: bool) -> Any:
    return _ABSENT if value is None else record_tree(value, json=json)


def _embedded(value: Any, json: bool) -> Any:
    return record_tree(value, json=json)


def _nested_list(value: Any, json: bool) -> Any:
    return [record_tree(item, json=json) for item in value]


def _nested_map(value: Any, json: bool) -> Any:
    return {key: None if item is None else record_tree(item, json=json) for key, item in sorted(value.items())}


def _never(_value: Any, _json: bool) -> Any:
    return _ABSENT


WRITERS: dict[str, Writer] = {
    "text": _same,
    "flag": _same,
    "opt_out": _same,
    "tristate": _or_absent,
    "number": _same,
    "optional_number": _or_absent,
    "unsigned": _same,
    "unsigned16": _same,
    "unsigned32": _same,
    "optional_unsigned": _or_absent,
    "count": _same,
    "float": _float,
    "size": _size,
    "duration": _duration,
    "optional_duration": _optional_duration,
    "mode": _mode,
    "octal": _same,
    "strings": _list,
    "healthcheck_test": _list,
    "command": _command,
    "mapping": _map,
    "text_mapping": _map,
    "environment": _map,
    "multi_options": _multi_options,
    "hosts": _hosts,
    "ssh": _ssh,
    "nested": _nested,
    "embedded": _embedded,
    "nested_list": _nested_list,
    "nested_map": _nested_map,
    "hidden": _never,
    "silent_mapping": _never,
}
_EMPTY_IS_ABSENT = frozenset(
    ("text", "flag", "number", "unsigned", "unsigned16", "unsigned32", "octal", "count", "float", "size", "duration", "strings",
     "healthcheck_test", "mapping", "text_mapping", "environment", "multi_options", "hosts", "ssh", "embedded", "nested_list", "nested_map")
)  # fmt: skip


def _ulimit(limit: UlimitsConfig, json: bool) -> Any:
    if limit.single:
        return limit.single
    both = {"soft": limit.soft, "hard": limit.hard}
    return {name: value for name, value in both.items() if value} if json else both


def _env_file(file: EnvFile, json: bool) -> Any:
    if file.required:
        return file.path
    tree: dict[str, Any] = {"path": file.path, "required": False}
    if json and file.format:
        tree["format"] = file.format
    return tree


def _secret(secret: SecretConfig, json: bool) -> Any:
    return _fields(secret.replace(content=""), json)


def _config(config: ConfigObjConfig, json: bool) -> Any:
    return _fields(config.replace(content="") if config.environment else config, json)


_SPECIAL: dict[type, Callable[[Any, bool], Any]] = {
    UlimitsConfig: _ulimit,
    EnvFile: _env_file,
    SecretConfig: _secret,
    ConfigObjConfig: _config,
}

"""Checks of single values that a schema cannot express, and the values that come from variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ConsistencyError, SchemaError
from compose.loader.bind import SECRET_VALUE
from compose.loader.shortforms import is_address
from compose.loader.tree import Map, Node, Path, Seq, Table, path_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.errors import SourceMark
    from compose.loader.environment import Environment
    from compose.loader.report import Report

    Check = Callable[[Report, Any, Path, SourceMark | None], None]


def check_values(tree: Map, report: Report, *, lenient: bool = False) -> None:
    """Report what is wrong in a canonical tree; `lenient` passes over values that may hold a variable."""
    _walk(report, tree, (), CHECKS.root, tree.mark, lenient)


def _walk(report: Report, value: Any, path: Path, node: Node[Check], mark: SourceMark | None, lenient: bool) -> None:
    if node.value is not None:
        if not (lenient and isinstance(value, str) and "$" in value):
            node.value(report, value, path, mark)
        return
    if isinstance(value, Map):
        for key, item in value.items():
            below = node.step(key)
            if below is not None:
                _walk(report, item, (*path, key), below, value.mark_of(key), lenient)
    elif isinstance(value, Seq):
        below = node.step("[]")
        if below is not None:
            for index, (item, item_mark) in enumerate(value.marked()):
                _walk(report, item, (*path, index), below, item_mark, lenient)


def _external_volume(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
    if not isinstance(value, Map) or value.get("external") is not True:
        return
    for key in value:
        if key not in ("name", "external") and not key.startswith("x-"):
            report.add(
                ConsistencyError,
                f'{path_text(path)}: conflicting parameters "external" and "{key}" specified',
                path,
                value.mark_of(key),
                expected="only a name: what is external is not created here",
            )


def _one_of(*keys: str) -> Check:
    def check(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
        if not isinstance(value, Map):
            return
        found = [key for key in keys if key in value]
        names = "|".join(keys)
        if len(found) > 1:
            related = tuple(filter(None, (value.mark_of(found[0]),)))
            text = f"{path_text(path)}: {names} attributes are mutually exclusive"
            report.add(ConsistencyError, text, path, value.mark_of(found[1]), related=related)
        elif not found and "driver" not in value and "external" not in value:
            report.add(ConsistencyError, f"{path_text(path)}: one of {names} must be set", path, mark)

    return check


def _not_blank(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
    if value == "":
        report.add(SchemaError, f"{path_text(path)}: value can't be blank", path, mark)


def _device_request(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
    if isinstance(value, Map) and "count" in value and "device_ids" in value:
        text = f'{path_text(path)}: "count" and "device_ids" attributes are exclusive'
        report.add(ConsistencyError, text, path, mark)


def _port(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
    if isinstance(value, Map) and "target" not in value:
        report.add(SchemaError, f"service ports {path_text(path)} is missing a target port", path, mark)
    for key in ("target", "published") if isinstance(value, Map) else ():
        number = value.get(key)
        if (isinstance(number, float) and key == "published") or (isinstance(number, int) and number < 0):
            text = f"{path_text(path)}: invalid {key} port: {number}"
            report.add(SchemaError, text, path, value.mark_of(key) or mark, expected="a port from 0 to 65535")
    address = value.get("host_ip") if isinstance(value, Map) else None
    if isinstance(address, str) and not is_address(address):
        text = f"{path_text(path)}: invalid ip address: {address}"
        report.add(SchemaError, text, path, value.mark_of("host_ip") or mark, expected="an IPv4 or IPv6 address")


def _volume(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
    _has_target("volume")(report, value, path, mark)
    if isinstance(value, Map) and value.get("type") == "bind" and not value.get("source"):
        report.add(SchemaError, 'invalid mount config for type "bind": field Source must not be empty', path, mark)


def _has_target(what: str) -> Check:
    def check(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
        if isinstance(value, Map) and not isinstance(value.get("target"), str):
            text = f"service {what} {path_text(path)} is missing a mount target"
            report.add(SchemaError, text, path, mark, expected="`target:`, a path in the container")

    return check


def _exposed(report: Report, value: Any, path: Path, mark: SourceMark | None) -> None:
    if isinstance(value, float):
        text = f"{path_text(path)}: unsupported expose value {value}"
        report.add(SchemaError, text, path, mark, expected="port[-port][/protocol]")


CHECKS: Table[Check] = Table(
    {
        "volumes.*": _external_volume,
        "configs.*": _one_of("file", "environment", "content"),
        "secrets.*": _one_of("file", "environment"),
        "services.*.ports.[]": _port,
        "services.*.volumes.[]": _volume,
        "services.*.expose.[]": _exposed,
        "services.*.devices.[]": _has_target("device"),
        "services.*.develop.watch.[].path": _not_blank,
        "services.*.deploy.resources.reservations.devices.[]": _device_request,
        "services.*.gpus.[]": _device_request,
    }
)


def resolve_contents(tree: Map, environment: Environment) -> None:
    """Fill in what variables hold: secrets, configs, and lines of `environment` that name a variable only."""
    for kind in ("secrets", "configs"):
        resources = tree.get(kind)
        for resource in resources.values() if isinstance(resources, Map) else ():
            name = resource.get("environment") if isinstance(resource, Map) else None
            value = environment.lookup(name) if isinstance(name, str) else None
            if value is not None and SECRET_VALUE not in resource:
                resource[SECRET_VALUE] = value
    services = tree.get("services")
    for service in services.values() if isinstance(services, Map) else ():
        lines = service.get("environment") if isinstance(service, Map) else None
        if isinstance(lines, Seq):
            for index, line in enumerate(lines):
                value = environment.lookup(line) if isinstance(line, str) else None
                if value is not None:
                    lines[index] = f"{line}={value}"

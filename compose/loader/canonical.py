"""Brings every attribute from its short forms to the long one.

Runs on the merged tree after each document, so every transformation leaves long forms as they are. With `lenient`
(`config --no-interpolate`) a short form that does not parse stays: it may hold a variable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import SchemaError
from compose.loader.scalars import sprint
from compose.loader.shortforms import MAX_PORT, clean_path, parse_device, parse_port, parse_volume
from compose.loader.tree import Map, Node, Path, Seq, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.errors import SourceMark
    from compose.loader.report import Report

    Transform = Callable[["Canonical", Any, Path, Node["Transform"], SourceMark | None], Any]


class _Drop:
    """The value cannot be brought to its long form and was reported."""


DROP = _Drop()


class Canonical:
    """One run of the table."""

    def __init__(self, report: Report, *, lenient: bool = False) -> None:
        self.report = report
        self.lenient = lenient

    def value(self, value: Any, path: Path, node: Node[Transform], mark: SourceMark | None) -> Any:
        """The long form of a value and of all below it."""
        if node.value is not None:
            return node.value(self, value, path, node, mark)
        return self.below(value, path, node)

    def below(self, value: Any, path: Path, node: Node[Transform]) -> Any:
        """The value with all below it in long form, changed in place."""
        if isinstance(value, Map):
            for key, item in list(value.items()):
                step = node.step(key)
                if step is None:
                    continue
                made = self.value(item, (*path, key), step, value.mark_of(key))
                if made is DROP:
                    del value[key]
                else:
                    value[key] = made
        elif isinstance(value, Seq):
            step = node.step("[]")
            if step is not None:
                made = Seq(mark=value.mark)
                for index, (item, mark) in enumerate(value.marked()):
                    each = self.value(item, (*path, index), step, mark)
                    if each is not DROP:
                        made.add(each, mark)
                return made
        return value

    def fail(self, message: str, path: Path, mark: SourceMark | None, expected: str = "") -> Any:
        """Report a short form that does not parse."""
        self.report.add(SchemaError, message, path, mark, expected=expected)
        return DROP


def canonical(tree: Map, report: Report, *, lenient: bool = False) -> Map:
    """Bring the whole tree to long forms, in place."""
    Canonical(report, lenient=lenient).below(tree, (), TRANSFORMS.root)
    return tree


def _build(run: Canonical, value: Any, path: Path, node: Node[Transform], mark: SourceMark | None) -> Any:
    if isinstance(value, str):
        made = Map(mark=mark)
        made.put("context", value, mark)
        return made
    return run.below(value, path, node)


def _one_key(key: str) -> Transform:
    def transform(_run: Canonical, value: Any, _path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
        if not isinstance(value, str):
            return value
        made = Map(mark=mark)
        made.put(key, value, mark)
        return made

    return transform


def _as_text(_run: Canonical, value: Any, _path: Path, _node: Node[Transform], _mark: SourceMark | None) -> Any:
    return sprint(value)


def _as_list(_run: Canonical, value: Any, _path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    return Seq([value], mark) if isinstance(value, str) else value


def _key_values(run: Canonical, value: Any, path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    if not isinstance(value, Seq):
        return value
    made = Map(mark=value.mark or mark)
    for index, (item, item_mark) in enumerate(value.marked()):
        key, found, text = sprint(item).partition("=")
        if not found:
            if run.lenient:
                return value
            return run.fail(f"invalid value {sprint(item)}, expected key=value", (*path, index), item_mark)
        made.put(key, text, item_mark)
    return made


def _depends_on(_run: Canonical, value: Any, _path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    if isinstance(value, Seq):
        made = Map(mark=value.mark or mark)
        for item, item_mark in value.marked():
            edge = Map([("condition", "service_started"), ("required", True)], item_mark)
            made.put(sprint(item), edge, item_mark)
        return made
    if isinstance(value, Map):
        for edge in value.values():
            if isinstance(edge, Map):
                edge.setdefault("condition", "service_started")
                edge.setdefault("required", True)
    return value


def _env_file(_run: Canonical, value: Any, _path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    items = value if isinstance(value, Seq) else Seq([value], mark)
    made = Seq(mark=items.mark)
    for item, item_mark in items.marked():
        entry = item
        if isinstance(item, str):
            entry = Map([("path", item), ("required", True)], item_mark)
        elif isinstance(item, Map):
            item.setdefault("required", True)
        made.add(entry, item_mark)
    return made


def _gpus(run: Canonical, value: Any, path: Path, node: Node[Transform], mark: SourceMark | None) -> Any:
    if isinstance(value, str):
        return Seq([Map([("count", "all")], mark)], mark)
    return run.below(value, path, node)


def _names(_run: Canonical, value: Any, _path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    if not isinstance(value, Seq):
        return value
    made = Map(mark=value.mark or mark)
    for item, item_mark in value.marked():
        made.put(sprint(item), None, item_mark)
    return made


def _volume(run: Canonical, value: Any, path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    if not isinstance(value, str):
        return value
    try:
        volume = parse_volume(value)
    except ValueError as error:
        return value if run.lenient else run.fail(str(error), path, mark, "[source:]target[:options]")
    volume["target"] = clean_path(volume["target"])
    for key in ("bind", "volume"):
        if key in volume:
            volume[key] = Map(volume[key].items(), mark)
    return Map(volume.items(), mark)


def _device(run: Canonical, value: Any, path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return Map(parse_device(value).items(), mark)
    except ValueError as error:
        return value if run.lenient else run.fail(str(error), path, mark, "source[:target[:permissions]]")


def _ports(run: Canonical, value: Any, path: Path, _node: Node[Transform], _mark: SourceMark | None) -> Any:
    if not isinstance(value, Seq):
        return value
    made = Seq(mark=value.mark)
    for index, (item, mark) in enumerate(value.marked()):
        if isinstance(item, Map):
            made.add(item, mark)
            continue
        try:
            if isinstance(item, float):
                raise ValueError(f"invalid type of port: {sprint(item)} is no whole number")  # noqa: TRY004
            ports = parse_port(sprint(item), MAX_PORT + 1 - len(made))
        except ValueError as error:
            if run.lenient and isinstance(item, str):
                return value
            run.fail(str(error), (*path, index), mark, "[[ip:][published:]]target[/protocol], ports from 0 to 65535")
            continue
        for port in ports:
            made.add(Map(port.items(), mark), mark)
    return made


def _ssh(run: Canonical, value: Any, path: Path, _node: Node[Transform], mark: SourceMark | None) -> Any:
    if not isinstance(value, Seq):
        return value
    made = Map(mark=value.mark or mark)
    for index, (item, item_mark) in enumerate(value.marked()):
        key, found, source = sprint(item).partition("=")
        if not found and key != "default":
            run.fail(f'invalid ssh key "{item}"', (*path, index), item_mark, "default or id=path")
            continue
        made.put(key, source if found else None, item_mark)
    return made


def _resource(run: Canonical, value: Any, path: Path, node: Node[Transform], _mark: SourceMark | None) -> Any:
    if not isinstance(value, Map):
        return value
    run.below(value, path, node)
    external = value.get("external")
    if not isinstance(external, Map):
        return value
    mark = value.mark_of("external")
    value.put("external", value=True, mark=mark)
    name = external.get("name")
    if name is None:
        return value
    run.report.warn(f"{'.'.join(map(str, path))}: external.name is deprecated. Please set name and external: true")
    if value.get("name", name) != name:
        run.fail("name and external.name conflict; only use name", path, mark)
    value.put("name", name, external.mark_of("name"))
    return value


TRANSFORMS: Table[Transform] = Table(
    {
        "services.*.build": _build,
        "services.*.build.secrets.[]": _one_key("source"),
        "services.*.build.provenance": _as_text,
        "services.*.build.sbom": _as_text,
        "services.*.build.additional_contexts": _key_values,
        "services.*.build.no_cache_filter": _as_list,
        "services.*.build.ssh": _ssh,
        "services.*.depends_on": _depends_on,
        "services.*.env_file": _env_file,
        "services.*.label_file": _as_list,
        "services.*.extends": _one_key("service"),
        "services.*.gpus": _gpus,
        "services.*.networks": _names,
        "services.*.models": _names,
        "services.*.volumes.[]": _volume,
        "services.*.dns": _as_list,
        "services.*.devices.[]": _device,
        "services.*.secrets.[]": _one_key("source"),
        "services.*.configs.[]": _one_key("source"),
        "services.*.ports": _ports,
        "services.*.develop.watch.[].ignore": _as_list,
        "services.*.develop.watch.[].include": _as_list,
        "volumes.*": _resource,
        "networks.*": _resource,
        "secrets.*": _resource,
        "configs.*": _resource,
    }
)

"""Lays one tree over another by the specification's merge rules.

Mappings merge, scalars and types replace, sequences append, null keeps the base; the table holds what differs. The
base is changed in place, the overlay must not be used afterwards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import SchemaError
from compose.loader.scalars import sprint
from compose.loader.tree import Map, Node, Path, Seq, Table, clone, path_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.errors import SourceMark
    from compose.loader.report import Report

    Merger = Callable[["Merge", Any, Any, Path, Node["Merger"] | None], Any]


class Merge:
    """One run of the rules."""

    def __init__(self, report: Report) -> None:
        self.report = report

    def value(self, base: Any, over: Any, path: Path, node: Node[Merger] | None, mark: SourceMark | None) -> Any:
        """The merge of two values at a path."""
        if node is not None and node.value is not None:
            return node.value(self, base, over, path, node)
        if over is None:
            return base
        if isinstance(base, Map):
            if isinstance(over, Map):
                return self.mappings(base, over, path, node)
        elif isinstance(base, Seq):
            if isinstance(over, Seq):
                return append(base, over)
        else:
            return over
        self.report.add(
            SchemaError,
            f"cannot override {path_text(path)}",
            path,
            mark,
            expected=f"a {_kind(base)} as in the file it overrides, not a {_kind(over)}",
            related=tuple(filter(None, (base.mark,))),
        )
        return base

    def mappings(self, base: Map, over: Map, path: Path, node: Node[Merger] | None) -> Map:
        """Merge two mappings key by key."""
        for key, item in over.items():
            mark = over.marks.get(key)
            if key not in base:
                base.put(key, item, mark or over.mark)
                continue
            below = node.step(key) if node is not None else None
            merged = self.value(base[key], item, (*path, key), below, mark)
            # a collection keeps the place it was opened at, a replaced value is where it was replaced
            base.put(key, merged, None if merged is base[key] else mark)
        return base


def merge(base: Map, over: Map, report: Report) -> Map:
    """Lay a whole document over another."""
    return Merge(report).mappings(base, over, (), RULES.root)


def merge_service(base: Map, over: Map, name: str, report: Report) -> Map:
    """Lay a service over the one it extends."""
    return Merge(report).mappings(base, over, ("services", name), RULES.at("services.*"))


def append(base: Seq, over: Seq) -> Seq:
    """The items of both."""
    for item, mark in over.marked():
        base.add(item, mark)
    return base


def to_sequence(value: Any) -> Seq:
    """A mapping as sorted `key=value` lines, a scalar as the only item."""
    if isinstance(value, Seq):
        return value
    if isinstance(value, str):
        return Seq([value])
    lines: list[tuple[str, SourceMark | None]] = []
    if isinstance(value, Map):
        for key, item in value.items():
            mark = value.mark_of(key)
            if item is None:
                lines.append((key, mark))
            elif isinstance(item, Seq):
                lines.extend((f"{key}={sprint(each)}", item_mark) for each, item_mark in item.marked())
            else:
                lines.append((f"{key}={sprint(item)}", mark))
        lines.sort(key=lambda line: line[0])
    result = Seq(mark=getattr(value, "mark", None))
    for line, mark in lines:
        result.add(line, mark)
    return result


def to_mapping(value: Any, default: dict[str, Any] | None = None) -> Map:
    """A sequence of names as a mapping to copies of `default`."""
    if isinstance(value, Map):
        return value
    result = Map(mark=getattr(value, "mark", None))
    if isinstance(value, Seq):
        for item, mark in value.marked():
            result.put(sprint(item), None if default is None else Map(default.items(), mark), mark)
    return result


def _kind(value: Any) -> str:
    return "mapping" if isinstance(value, Map) else "sequence" if isinstance(value, Seq) else "scalar"


def _replace(_merge: Merge, _base: Any, over: Any, _path: Path, _node: Node[Merger] | None) -> Any:
    return over


def _lines(_merge: Merge, base: Any, over: Any, _path: Path, _node: Node[Merger] | None) -> Any:
    first = to_sequence(base)
    return append(first, to_sequence(over))


def _hosts(_merge: Merge, base: Any, over: Any, _path: Path, _node: Node[Merger] | None) -> Any:
    first = to_sequence(base)
    known = set(map(sprint, first))
    for item, mark in to_sequence(over).marked():
        if sprint(item) not in known:
            first.add(item, mark)
    return first


def _build(merge: Merge, base: Any, over: Any, path: Path, node: Node[Merger] | None) -> Any:
    def long(value: Any) -> Map:
        if isinstance(value, Map):
            return value
        return Map([("context", value)] if isinstance(value, str) else ())

    return merge.mappings(long(base), long(over), path, node)


def _names(default: dict[str, Any] | None) -> Merger:
    def merger(merge: Merge, base: Any, over: Any, path: Path, node: Node[Merger] | None) -> Any:
        return merge.mappings(to_mapping(base, default), to_mapping(over, default), path, node)

    return merger


def _logging(merge: Merge, base: Any, over: Any, path: Path, node: Node[Merger] | None) -> Any:
    if not isinstance(base, Map) or not isinstance(over, Map):
        return base if over is None else over
    same = "driver" not in base or "driver" not in over or base["driver"] == over["driver"]
    return merge.mappings(base, over, path, node) if same else over


def _pools(merge: Merge, base: Any, over: Any, path: Path, node: Node[Merger] | None) -> Any:
    """The overlay's pools, each laid over the base's pool of the same subnet; other pools of the base are gone."""
    if not isinstance(base, Seq) or not isinstance(over, Seq):
        return base if over is None else over
    known = {sprint(pool.get("subnet")): pool for pool in base if isinstance(pool, Map)}
    pools = Seq(mark=over.mark)
    for pool, mark in over.marked():
        under = known.get(sprint(pool.get("subnet"))) if isinstance(pool, Map) else None
        pools.add(pool if under is None else merge.mappings(clone(under), pool, path, None), mark)
    return pools


_NEEDED = {"condition": "service_started", "required": True}

RULES: Table[Merger] = Table(
    {
        **dict.fromkeys(
            (
                "networks.*.labels",
                "volumes.*.labels",
                "services.*.annotations",
                "services.*.build.args",
                "services.*.build.additional_contexts",
                "services.*.build.labels",
                "services.*.deploy.labels",
                "services.*.dns",
                "services.*.dns_opt",
                "services.*.dns_search",
                "services.*.env_file",
                "services.*.label_file",
                "services.*.environment",
                "services.*.labels",
                "services.*.sysctls",
                "services.*.tmpfs",
            ),
            _lines,
        ),
        **dict.fromkeys(("services.*.command", "services.*.entrypoint", "services.*.healthcheck.test"), _replace),
        "services.*.ulimits.*": _replace,
        "services.*.extra_hosts": _hosts,
        "services.*.build.extra_hosts": _hosts,
        "services.*.build": _build,
        "services.*.depends_on": _names(_NEEDED),
        "services.*.models": _names(None),
        "services.*.networks": _names(None),
        "services.*.logging": _logging,
        "networks.*.ipam.config": _pools,
    }
)

"""Drops earlier items of a sequence that a later one redefines: the later takes the place of the earlier.

It runs twice a document: before the canonical form (short texts compare literally) and after it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.loader.shortforms import parse_volume
from compose.loader.tree import Map, Node, Seq, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    Key = Callable[[Any], Any]


def enforce(tree: Any) -> None:
    """Make every sequence of the table unique, in place."""
    _walk(tree, UNIQUE.root)


def _walk(value: Any, node: Node[Key]) -> None:
    if isinstance(value, Map):
        for key, item in value.items():
            below = node.step(key)
            if below is not None and isinstance(item, dict | list):
                _walk(item, below)
    elif isinstance(value, Seq) and node.value is not None and len(value) > 1:
        _unique(value, node.value)


def _unique(items: Seq, key_of: Key) -> None:
    places: dict[Any, int] = {}
    kept: list[tuple[Any, Any]] = []
    for item, mark in items.marked():
        key = key_of(item)
        if key is None:
            kept.append((item, mark))
        elif key in places:
            kept[places[key]] = (item, mark)
        else:
            places[key] = len(kept)
            kept.append((item, mark))
    if len(kept) < len(items):
        items[:] = [item for item, _ in kept]
        items.marks = [mark for _, mark in kept]


def _name(item: Any) -> Any:
    return item.partition("=")[0] if isinstance(item, str) else None


def _target(item: Any) -> Any:
    if isinstance(item, Map):
        return _text(item.get("target"))
    if isinstance(item, str):
        try:
            return parse_volume(item)["target"]
        except ValueError:
            return None
    return None


def _device(item: Any) -> Any:
    if isinstance(item, Map):
        return _text(item.get("target"))
    if isinstance(item, str):
        parts = item.split(":")
        return parts[0] if len(parts) == 1 else parts[1]
    return None


def _exposed(item: Any) -> Any:
    return str(item) if isinstance(item, str | int) else None


def _mounted(base: str) -> Key:
    def key(item: Any) -> Any:
        if isinstance(item, str):
            return f"{base}/{item}"
        if isinstance(item, Map):
            return _text(item["target"]) if "target" in item else f"{base}/{item.get('source')}"
        return None

    return key


def _port(item: Any) -> Any:
    if isinstance(item, Map):
        published = item.get("published")
        return (
            item.get("host_ip", "0.0.0.0"), type(published), published, item.get("target"), item.get("protocol", "tcp")
        )  # fmt: skip
    return str(item) if isinstance(item, str | int) else None


def _env_file(item: Any) -> Any:
    return item if isinstance(item, str) else _text(item.get("path")) if isinstance(item, Map) else None


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else None


UNIQUE: Table[Key] = Table(
    {
        **dict.fromkeys(
            (
                "networks.*.labels",
                "networks.*.ipam.options",
                *(
                    f"services.*.{name}"
                    for name in (
                        "annotations", "build.args", "build.additional_contexts", "build.platform", "build.tags",
                        "build.labels", "cap_add", "cap_drop", "deploy.labels", "dns", "dns_opt", "dns_search",
                        "environment", "labels", "links", "networks.*.aliases", "networks.*.link_local_ips",
                        "profiles", "sysctls", "tmpfs",
                    )
                ),
            ),
            _name,
        ),
        "services.*.devices": _device,
        "services.*.volumes": _target,
        "services.*.configs": _mounted(""),
        "services.*.secrets": _mounted("/run/secrets"),
        "services.*.env_file": _env_file,
        "services.*.expose": _exposed,
        "services.*.ports": _port,
    }
)  # fmt: skip

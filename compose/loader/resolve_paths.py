"""Makes relative paths absolute (or relative to the including project), by the table of what is a path."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.loader.remotes import is_remote
from compose.loader.shortforms import clean_path
from compose.loader.tree import Map, Node, Seq, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.errors import SourceMark
    from compose.loader.files import Files
    from compose.loader.remotes import Confinement

    Resolver = Callable[["Base", Any], Any]

_REMOTE = ("https://", "http://", "git://", "ssh://", "github.com/", "git@")
_WINDOWS = re.compile(r"[a-zA-Z]:[\\/]|\\\\")


class Base(NamedTuple):
    """What paths are relative to, and where `~` is."""

    directory: str
    home: str
    files: Files
    confinement: Confinement | None = None
    """Where files of remote resources may not lead anywhere."""

    def join(self, path: str) -> str:
        """The path below the directory, cleaned; absolute ones as they are."""
        path = self.expand(path)
        if os.path.isabs(path):
            return path
        located = clean_path(os.path.join(self.directory, path))
        if self.confinement is not None:
            self.confinement.check(path, located)
        return located

    def expand(self, path: str) -> str:
        """The path with a leading `~` replaced."""
        if path.startswith("~") and self.home:
            return clean_path(f"{self.home}/{path[1:]}")
        return path


def resolve_paths(tree: Map, base: Base) -> None:
    """Resolve every path of a canonical tree, in place."""
    _walk(tree, base, PATHS.root, tree.mark)


def _walk(value: Any, base: Base, node: Node[Resolver], mark: SourceMark | None) -> Any:
    if node.value is not None:
        if base.confinement is not None:
            base.confinement.mark = mark
        return node.value(base, value)
    if isinstance(value, Map):
        for key, item in value.items():
            below = node.step(key)
            if below is not None and item is not None:
                value[key] = _walk(item, base, below, value.mark_of(key))
    elif isinstance(value, Seq):
        below = node.step("[]")
        if below is not None:
            value[:] = [_walk(item, base, below, place) for item, place in value.marked()]
    return value


def _path(base: Base, value: Any) -> Any:
    if isinstance(value, Seq):
        value[:] = [_path(base, item) for item in value]
        return value
    return base.join(value) if isinstance(value, str) and value else value


def _file(base: Base, value: Any) -> Any:
    return value if isinstance(value, str) and is_remote(value) else _path(base, value)


def _context(base: Base, value: Any) -> Any:
    if not isinstance(value, str) or "://" in value or value.startswith(("service:", *_REMOTE)):
        return value
    return _path(base, value)


def _maybe_unix(base: Base, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    path = base.expand(value)
    return path if _WINDOWS.match(path) else base.join(path)


def _watched(base: Base, value: Any) -> Any:
    resolved = _path(base, value)
    return _follow(resolved, base.files) if isinstance(resolved, str) else resolved


def _follow(path: str, files: Files) -> str:
    """The path with its first symbolic link resolved: changes are reported for the real files."""
    way = "/" if path.startswith("/") else ""
    for part in path.split("/"):
        way = os.path.join(way, part)
        target = files.link(way) if part else ""
        if target:
            return path.replace(way, target, 1)
    return path


def _mount(base: Base, value: Any) -> Any:
    if isinstance(value, Map) and value.get("type") == "bind" and isinstance(value.get("source"), str):
        value["source"] = _maybe_unix(base, value["source"])
    return value


def _volume(base: Base, value: Any) -> Any:
    if not isinstance(value, Map) or value.get("driver") != "local":
        return value
    options = value.get("driver_opts")
    if isinstance(options, Map) and options.get("o") == "bind" and "device" in options:
        options["device"] = _maybe_unix(base, options["device"])
    return value


PATHS: Table[Resolver] = Table(
    {
        "services.*.build.context": _context,
        "services.*.build.additional_contexts.*": _context,
        "services.*.build.ssh.*": _maybe_unix,
        "services.*.env_file.[].path": _path,
        "services.*.label_file.[]": _path,
        "services.*.extends.file": _file,
        "services.*.develop.watch.[].path": _watched,
        "services.*.volumes.[]": _mount,
        "configs.*.file": _maybe_unix,
        "secrets.*.file": _maybe_unix,
        "volumes.*": _volume,
    }
)

"""Answers where a path of the project was written, long after the load."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from compose.errors import SourceMark
from compose.loader.tree import Map, Path, Seq, find_mark, path_text

if TYPE_CHECKING:
    from compose.loader.tree import Map as Tree

_PART = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


class Marks(Mapping[str, SourceMark]):
    """Path text to mark, by walking the canonical tree; an implied path answers with its nearest ancestor's mark."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def __getitem__(self, path: str) -> SourceMark:
        mark = find_mark(self.tree, self._parts(path))
        if mark is None:
            raise KeyError(path)
        return mark

    def __iter__(self) -> Iterator[str]:
        return (path_text(path) for path in _paths(self.tree, ()))

    def __len__(self) -> int:
        return sum(1 for _ in _paths(self.tree, ()))

    def _parts(self, path: str) -> Path:
        """Split a path's text; names may contain dots, so the longest key that is there wins."""
        parts: list[str | int] = []
        tree: Any = self.tree
        rest = path
        while rest:
            key = _longest_key(tree, rest) if isinstance(tree, Map) else None
            if isinstance(tree, Seq) and not rest.startswith("["):
                key = rest  # the name in a `name=value` line
            if key is None:
                match = _PART.match(rest)
                if match is None:
                    break
                key = match.group()
                part: str | int = int(match.group(2)) if match.group(2) else key
            else:
                part = key
            parts.append(part)
            rest = rest[len(key) :].removeprefix(".")
            tree = _below(tree, part)
        return tuple(parts)


def _longest_key(tree: Map, rest: str) -> str | None:
    fitting = [key for key in tree if rest == key or (rest.startswith(key) and rest[len(key)] in ".[")]
    return max(fitting, key=len, default=None)


def _below(tree: Any, part: str | int) -> Any:
    if isinstance(tree, Map) and isinstance(part, str):
        return tree.get(part)
    if isinstance(tree, Seq) and isinstance(part, int) and part < len(tree):
        return tree[part]
    return None


def _paths(tree: Any, path: Path) -> Iterator[Path]:
    if path:
        yield path
    if isinstance(tree, Map):
        for key, item in tree.items():
            yield from _paths(item, (*path, key))
    elif isinstance(tree, Seq):
        for index, item in enumerate(tree):
            yield from _paths(item, (*path, index))

"""One YAML document on its way into the project, and the file it is in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose.loader.scope import Scope
    from compose.loader.tree import Map, Path


class Document:
    """`tree` is the document, `project` what the documents before it add up to."""

    __slots__ = ("file", "project", "resets", "scope", "tree")

    def __init__(self, scope: Scope, file: str, tree: Map, resets: tuple[Path, ...], project: Map) -> None:
        self.scope = scope
        self.file = file
        self.tree = tree
        self.resets = resets
        self.project = project


def apply_resets(target: Map, resets: tuple[Path, ...], prefix: Path = ()) -> None:
    """Delete what a document marks with `!reset` or `!override` from the tree it is laid over.

    `target` is the subtree at `prefix`. Items of sequences cannot be reset.
    """
    from compose.loader.tree import Map as Mapping

    for path in resets:
        if path[: len(prefix)] != prefix or len(path) == len(prefix):
            continue
        owner = target
        *way, last = path[len(prefix) :]
        for part in way:
            below = owner.get(part) if isinstance(owner, Mapping) and isinstance(part, str) else None
            if not isinstance(below, Mapping):
                break
            owner = below
        else:
            if isinstance(last, str):
                owner.pop(last, None)

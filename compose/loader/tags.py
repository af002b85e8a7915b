"""What waits in a freshly built YAML tree until paths are known: `!reset` and `!override`, and keys that are no strings.

The order of things is the reference's: a value under `!reset` is gone where it is written, before aliases repeat it and
before merge keys are filled in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from compose.errors import Problem, SourceMark
from compose.loader.scalars import sprint
from compose.loader.tree import Map, Path, Seq, clone, path_text

_NOTHING = object()
"""What is left of a value under `!reset`."""


class Tagged(NamedTuple):
    """A value under `!reset` or `!override`."""

    tag: str
    value: Any


class Covered(NamedTuple):
    """A value over another one of a merge key: the lower one's tags count, and it shows where the upper is reset."""

    upper: Any
    lower: Any


class BadKeys(list[tuple[Any, SourceMark]]):
    """Keys of a mapping that are not strings."""


def tree_mark(value: Any) -> SourceMark | None:
    """The mark of a collection, tagged or not."""
    inner = value.value if isinstance(value, Tagged) else value
    mark: SourceMark | None = getattr(inner, "mark", None)
    return mark


def clone_tagged(value: Any) -> Any:
    """A deep copy for an alias: it carries the tags of its anchor along, but what was reset there is gone already."""
    if isinstance(value, Tagged):
        return Tagged(value.tag, clone_tagged(value.value))
    if isinstance(value, Covered):
        kept = [item for item in value if not _is_reset(item)]
        return clone_tagged(kept[0]) if len(kept) == 1 else Covered(*map(clone_tagged, value))
    if isinstance(value, Map):
        copy = Map(((key, clone_tagged(item)) for key, item in value.items() if not _is_reset(item)), value.mark)
        copy.marks = dict(value.marks)
        return copy
    if isinstance(value, Seq):
        items = Seq(mark=value.mark)
        for item, mark in value.marked():
            if not _is_reset(item):
                items.add(clone_tagged(item), mark)
        return items
    return clone(value)


def _is_reset(value: Any) -> bool:
    if isinstance(value, Covered):
        return all(map(_is_reset, value))
    return isinstance(value, Tagged) and value.tag == "!reset"


def _untagged(item: Any, path: Path, resets: list[Path], problems: list[Problem]) -> Any:
    """What is left of a value without its own tag."""
    if type(item) is Covered:
        lower = _untagged(item.lower, path, resets, problems)
        if isinstance(lower, dict | list):
            strip(lower, path, resets, problems)
        upper = _untagged(item.upper, path, resets, problems)
        return lower if upper is _NOTHING else upper
    if type(item) is not Tagged:
        return item
    resets.append(path)
    return _NOTHING if item.tag == "!reset" else item.value


def strip(value: Any, path: Path, resets: list[Path], problems: list[Problem]) -> None:
    """Take tags and bad keys out of a tree, in place; the paths of tags go to `resets`."""
    if isinstance(value, Map):
        bad = value.get("")
        if isinstance(bad, BadKeys):
            del value[""]
            problems.extend(_bad_key(key, mark, path) for key, mark in bad)
        for key, item in list(value.items()):
            kept = _untagged(item, (*path, key), resets, problems) if type(item) in (Tagged, Covered) else item
            if kept is _NOTHING:
                del value[key]
                continue
            if kept is not item:
                value[key] = kept
            if isinstance(kept, dict | list):
                strip(kept, (*path, key), resets, problems)
    elif isinstance(value, Seq):
        if any(type(item) is Tagged for item in value):
            kept = [(item, mark) for item, mark in value.marked() if type(item) is not Tagged or item.tag != "!reset"]
            value[:] = [item.value if type(item) is Tagged else item for item, _ in kept]
            value.marks = [mark for _, mark in kept]
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                strip(item, (*path, index), resets, problems)


def _bad_key(key: Any, mark: SourceMark, path: Path) -> Problem:
    shown = "null" if key is None else sprint(key)
    where = f"in {path_text(path)}" if path else "at top level"
    return Problem(f"non-string key {where}: {shown}", mark=mark, expected=f'a string: quote it, "{shown}"')

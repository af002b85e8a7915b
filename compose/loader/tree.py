"""Trees of parsed YAML that remember where every value was written, and tables keyed by path patterns.

A mark travels with its value through merges and conversions, so that an error late in the pipeline still names the
line. Marks lie beside the values (not around them): plain `dict` and `list` code works on the trees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from compose.errors import SourceMark

T = TypeVar("T")
Path = tuple[str | int, ...]


class Map(dict[str, Any]):
    """A mapping; `mark` is its own place, `marks` the places of its keys."""

    __slots__ = ("mark", "marks")

    def __init__(self, values: Iterable[tuple[str, Any]] = (), mark: SourceMark | None = None) -> None:
        super().__init__(values)
        self.mark = mark
        self.marks: dict[str, SourceMark | None] = {}

    def put(self, key: str, value: Any, mark: SourceMark | None = None) -> None:
        """Set a value together with its place."""
        self[key] = value
        if mark is not None:
            self.marks[key] = mark

    def mark_of(self, key: str) -> SourceMark | None:
        """The place of a key, or of the mapping if the key was implied."""
        return self.marks.get(key, self.mark)


class Seq(list[Any]):
    """A sequence; `marks[i]` is the place of item i."""

    __slots__ = ("mark", "marks")

    def __init__(self, values: Iterable[Any] = (), mark: SourceMark | None = None) -> None:
        super().__init__(values)
        self.mark = mark
        self.marks: list[SourceMark | None] = [mark] * len(self)

    def add(self, value: Any, mark: SourceMark | None = None) -> None:
        """Append a value together with its place."""
        self.append(value)
        self.marks.append(mark)

    def marked(self) -> Iterator[tuple[Any, SourceMark | None]]:
        """The items with their places."""
        return zip(self, self.marks, strict=True)


def clone(value: Any) -> Any:
    """A deep copy; scalars and marks are shared."""
    if isinstance(value, Map):
        copy = Map(((key, clone(item)) for key, item in value.items()), value.mark)
        copy.marks = dict(value.marks)
        return copy
    if isinstance(value, Seq):
        items = Seq((clone(item) for item in value), value.mark)
        items.marks = list(value.marks)
        return items
    return value


def plain(value: Any) -> Any:
    """The value as ordinary dicts and lists."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def path_text(path: Path) -> str:
    """`services.web.ports[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def get(tree: Any, path: Path) -> Any:
    """The value at a path, None if there is none."""
    for part in path:
        if isinstance(part, int):
            if not isinstance(tree, list) or part >= len(tree):
                return None
            tree = tree[part]
        elif isinstance(tree, dict):
            tree = tree.get(part)
        else:
            return None
    return tree


def find_mark(tree: Any, path: Path) -> SourceMark | None:
    """Where the value at `path` was written; for what was never written, where its nearest ancestor was."""
    found: SourceMark | None = getattr(tree, "mark", None)
    for part in path:
        if isinstance(tree, Map) and isinstance(part, str):
            if part not in tree:
                break
            found = tree.marks.get(part) or found
        elif isinstance(tree, Seq) and isinstance(part, int) and part < len(tree):
            found = tree.marks[part] or found
        elif isinstance(tree, Seq) and isinstance(part, str):
            return line_mark(tree, part) or found
        else:
            break
        tree = tree[part]
    return found


def line_mark(lines: Seq, key: str) -> SourceMark | None:
    """Where a key of a mapping written as `key=value` lines is; the last line counts."""
    found = [mark for item, mark in lines.marked() if isinstance(item, str) and item.partition("=")[0] == key]
    return found[-1] if found else None


class Node(Generic[T]):
    """A step of a table: what applies here, and the steps below."""

    __slots__ = ("below", "star", "value")

    def __init__(self) -> None:
        self.value: T | None = None
        self.below: dict[str, Node[T]] = {}
        self.star: Node[T] | None = None

    def step(self, part: str) -> Node[T] | None:
        """The step for a key or, for list items, for `[]`."""
        return self.below.get(part) or self.star


class Table(Generic[T]):
    """Knowledge about attributes keyed by path pattern: `services.*.ports.[].target`; `*` matches any one part.

    A compiled trie: walking a tree costs one dictionary look-up a node, however many patterns there are.
    """

    def __init__(self, rows: Mapping[str, T]) -> None:
        self.root: Node[T] = Node()
        for pattern, value in rows.items():
            node = self.root
            for part in pattern.split("."):
                if part == "*":
                    node.star = node.star or Node()
                    node = node.star
                else:
                    node = node.below.setdefault(part, Node())
            node.value = value

    def at(self, pattern: str) -> Node[T] | None:
        """The step reached by following `pattern` literally."""
        node: Node[T] | None = self.root
        for part in pattern.split("."):
            if node is None:
                return None
            node = node.step(part)
        return node

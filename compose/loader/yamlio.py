"""Reads YAML into marked trees, from libyaml's events and without recursion.

Composing nodes in C recurses: 200 KB of `[` ends the process. Events do not, so depth, alias expansion, duplicate keys
and anchors that contain themselves are all refused here, before anything walks the tree.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from compose.errors import Problem, SourceMark, SyntaxProblem
from compose.loader.scalars import resolve, tagged
from compose.loader.tags import BadKeys, Covered, Tagged, clone_tagged, strip, tree_mark
from compose.loader.tree import Map, Path, Seq

MAX_DEPTH = 200
LIBRARY_TOO_DEEP = "exceeded maximum nesting depth"
"""What libyaml says since 0.2.6 of more than a thousand levels."""
HINTS = {
    "cannot start any token": "quotes around text that begins with @ ` % or such",
    "alphabetic or numeric character": "quotes around text that begins with * or &",
    "mapping values are not allowed": "one `key: value` a line, as deep as its neighbours; quotes around text that holds `: `",
    "unexpected end of stream": "a closing quote",
    "did not find expected key": "keys of one mapping equally deep, and no `-` among them",
}
"""What to do about libyaml's commonest complaints."""
MERGE_TAG = "tag:yaml.org,2002:merge"
MAX_ALIAS_NODES = 100_000
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_BOMS = (
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)


_NO_KEY = object()
"""Between the entries of a mapping; null is a key."""


class Document(NamedTuple):
    """One YAML document: its tree, and the paths under `!reset` or `!override`."""

    root: Any
    resets: tuple[Path, ...]


def read(text: bytes | str, file: str) -> list[Document]:
    """All documents of a file. Raises SyntaxProblem with the place."""
    content = text if isinstance(text, str) else decode(text, file)
    content = content.removeprefix("\ufeff")
    bad = _FORBIDDEN.search(content)
    if bad:
        raise SyntaxProblem(
            Problem(
                f"yaml: control characters are not allowed: found {bad.group()!r}",
                mark=_mark_at(content, bad.start(), file),
                expected="printable characters; write it as an escape in a double-quoted string",
            )
        )
    return [_finish(root) for root in _Builder(content, file).documents()]


def decode(data: bytes, file: str) -> str:
    """Text of a file: UTF-8, or UTF-16 and UTF-32 if it starts with a byte order mark. Raises SyntaxProblem."""
    encoding = next((name for bom, name in _BOMS if data.startswith(bom)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line = before.count(b"\n") + 1
        column = error.start - (before.rfind(b"\n") + 1) + 1
        kind = "invalid trailing UTF-8 octet" if "continuation" in error.reason else "invalid leading UTF-8 octet"
        raise SyntaxProblem(
            Problem(
                f"yaml: {kind}: byte 0x{data[error.start]:02x} is not {encoding.upper()}",
                mark=SourceMark(file, line, column),
                expected="a file saved as UTF-8",
            )
        ) from None


class _Builder:
    """Builds trees from events; `frames` holds the open collections."""

    def __init__(self, text: str, file: str) -> None:
        self.text = text
        self.file = file
        self.anchors: dict[str, tuple[Any, int]] = {}
        self.nodes = 0
        self.from_aliases = 0
        self.tags = 0
        """How many `!reset` and `!override` there were."""

    def documents(self) -> list[Any]:
        from yaml import MarkedYAMLError, YAMLError
        from yaml.cyaml import CParser  # type: ignore[attr-defined]

        roots: list[Any] = []
        parser = CParser(self.text)
        try:
            while (event := parser.get_event()) is not None:
                if type(event).__name__ == "DocumentStartEvent":
                    self.anchors = {}
                    roots.append(self._document(parser))
        except YAMLError as error:
            problem, mark = (error.problem, error.problem_mark) if isinstance(error, MarkedYAMLError) else (None, None)
            if problem == LIBRARY_TOO_DEEP and mark is not None:
                # It reads ahead of what it tells, so its own limit comes before ours though ours is lower: what comes
                # before that place exceeds ours as well.
                return _Builder(self.text[: mark.index], self.file).documents()
            raise SyntaxProblem(self._explain(error)) from None
        finally:
            parser.dispose()
        return roots

    def _document(self, parser: Any) -> Any:
        root: list[Any] = [None]
        frames: list[_Frame] = [_Frame(None, "", 0)]
        while True:
            event = parser.get_event()
            kind = type(event).__name__
            if kind == "ScalarEvent":
                self.nodes += 1
                value = self._scalar(event)
                if event.anchor:
                    self.anchors[event.anchor] = (value, 1)
            elif kind == "AliasEvent":
                value = self._alias(event, frames)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                if len(frames) > MAX_DEPTH:
                    raise self._problem(f"yaml: exceeded max depth of {MAX_DEPTH}", event)
                self.nodes += 1
                mark = self._mark(event)
                opened = _Frame(Map(mark=mark) if kind[0] == "M" else Seq(mark=mark), event.anchor or "", self.nodes)
                opened.tag = event.tag or ""
                self._check_tag(event)
                frames.append(opened)
                continue
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                closed = frames.pop()
                value = self._close(closed)
                if closed.anchor:
                    self.anchors[closed.anchor] = (value, self.nodes - closed.started + 1)
                event = closed
            else:  # the document's end
                return root[0]
            self._place(frames[-1], value, event, root)

    def _place(self, frame: _Frame, value: Any, event: Any, root: list[Any]) -> None:
        tree = frame.tree
        if tree is None:
            root[0] = value
        elif isinstance(tree, Seq):
            tree.add(value, tree_mark(value) or self._mark(event))
        elif frame.key is _NO_KEY:
            frame.key = value
            frame.key_mark = tree_mark(value) or self._mark(event)
            frame.key_is_merge = value == "<<" and (
                getattr(event, "tag", None) == MERGE_TAG or getattr(event, "implicit", (False,))[0]
            )
        else:
            self._entry(frame, value)
            frame.key = _NO_KEY

    def _entry(self, frame: _Frame, value: Any) -> None:
        tree, key, mark = frame.tree, frame.key, frame.key_mark
        if isinstance(key, Tagged):
            key = key.value
        if not isinstance(key, str) or type(key) is not str:
            frame.bad_keys.append((key, mark))
            return
        if key in frame.seen:
            first = frame.seen[key]
            raise SyntaxProblem(
                Problem(f'mapping key "{key}" already defined at line {first.line}', mark=mark, related=(first,))
            )
        frame.seen[key] = mark
        if frame.key_is_merge:
            frame.merges = (value, mark)
            return
        tree.put(key, value, mark)

    def _close(self, frame: _Frame) -> Any:
        tree = frame.tree
        if frame.bad_keys:
            # only the path is missing to say it: kept in the tree until the path is known
            tree.put("", BadKeys(frame.bad_keys), frame.bad_keys[0][1])
        if frame.merges is not None:
            self._merge(tree, *frame.merges)
        if frame.tag in ("!reset", "!override"):
            self.tags += 1
            return Tagged(frame.tag, tree)
        return tree

    def _merge(self, tree: Map, value: Any, mark: SourceMark) -> None:
        sources = value if isinstance(value, Seq) else [value]
        for source in sources:
            inner = source.value if isinstance(source, Tagged) else source
            if not isinstance(inner, Map):
                raise SyntaxProblem(Problem("yaml: map merge requires map or sequence of maps as the value", mark=mark))
            for key, item in inner.items():
                if key not in tree:
                    tree.put(key, item, inner.marks.get(key))
                elif self.tags:
                    tree[key] = Covered(tree[key], item)

    def _scalar(self, event: Any) -> Any:
        tag = event.tag
        if tag is None or tag == "!":
            return resolve(event.value) if event.implicit[0] and tag is None else event.value
        if tag in ("!reset", "!override"):
            self.tags += 1
            return Tagged(tag, resolve(event.value) if event.style is None else event.value)
        self._check_tag(event)
        try:
            return tagged(tag, event.value)
        except ValueError as error:
            raise self._problem(f"yaml: {error}", event) from None

    def _alias(self, event: Any, frames: list[_Frame]) -> Any:
        name = event.anchor
        for frame in frames:
            if frame.anchor == name:
                merging = frames[-1].key == "<<"
                what = "merges itself" if merging else "contains itself"
                raise self._problem(
                    f"yaml: cycle detected: anchor &{name} {what}", event, related=(tree_mark(frame.tree),)
                )
        if name not in self.anchors:
            raise self._problem(f"yaml: unknown anchor '{name}' referenced", event)
        value, size = self.anchors[name]
        self.from_aliases += size
        self.nodes += size
        if self.from_aliases > MAX_ALIAS_NODES:
            raise self._problem(
                f"yaml: document contains excessive aliasing: aliases expand to more than {MAX_ALIAS_NODES} nodes"
                f" (anchor &{name})",
                event,
                related=(tree_mark(value),),
            )
        return clone_tagged(value)

    def _check_tag(self, event: Any) -> None:
        if event.tag and event.tag.startswith("tag:yaml.org,2002:python/"):
            raise self._problem(f"yaml: tag !!{event.tag[18:]} is refused: objects are never constructed", event)

    def _mark(self, event: Any) -> SourceMark:
        start = event.start_mark
        return SourceMark(self.file, start.line + 1, start.column + 1)

    def _problem(self, message: str, event: Any, related: tuple[SourceMark | None, ...] = ()) -> SyntaxProblem:
        marks = tuple(mark for mark in related if mark is not None)
        return SyntaxProblem(Problem(message, mark=self._mark(event), related=marks))

    def _explain(self, error: Any) -> Problem:
        """libyaml's complaint, with the line it is about and a hint for what beginners meet."""
        spot = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        text = getattr(error, "problem", None) or str(error).splitlines()[0]
        if spot is None:
            return Problem(f"yaml: {text}", mark=SourceMark(self.file))
        lines = self.text.split("\n")
        line = lines[spot.line] if spot.line < len(lines) else ""
        expected = ""
        if line[: spot.column + 1].strip(" ").startswith("\t") or "\t" in line[: len(line) - len(line.lstrip())]:
            text = "found character that cannot start any token: tab used for indentation"
            expected = "spaces"
        expected = expected or next((hint for part, hint in HINTS.items() if part in text), "")
        context = getattr(error, "context_mark", None)
        if "unexpected end of stream" in text and context is not None:
            spot = context  # the quote that is never closed
        related: tuple[SourceMark, ...] = ()
        if context is not None and (context.line, context.column) != (spot.line, spot.column):
            related = (SourceMark(self.file, context.line + 1, context.column + 1),)
            if getattr(error, "context", None):
                text += f" ({error.context} at line {context.line + 1})"
        excerpt = f"\n    {line}\n    {' ' * spot.column}^" if line.strip() and len(line) < 200 else ""
        return Problem(
            f"yaml: line {spot.line + 1}: {text}{excerpt}",
            mark=SourceMark(self.file, spot.line + 1, spot.column + 1),
            expected=expected,
            related=related,
        )


class _Frame:
    """An open collection while its events come in."""

    __slots__ = ("anchor", "bad_keys", "key", "key_is_merge", "key_mark", "merges", "seen", "started", "tag", "tree")

    def __init__(self, tree: Any, anchor: str, started: int) -> None:
        self.tree = tree
        self.anchor = anchor
        self.started = started
        self.tag = ""
        self.key: Any = _NO_KEY
        self.key_mark: Any = None
        self.key_is_merge = False
        self.seen: dict[str, SourceMark] = {}
        self.merges: tuple[Any, SourceMark] | None = None
        self.bad_keys: list[tuple[Any, SourceMark]] = []

    @property
    def start_mark(self) -> Any:
        return _Zero(self.tree.mark)


class _Zero:
    """A SourceMark in libyaml's counting from 0."""

    def __init__(self, mark: SourceMark) -> None:
        self.line = mark.line - 1
        self.column = mark.column - 1


def _finish(root: Any) -> Document:
    """Take tags out of the tree and refuse keys that are not strings, now that paths are known."""
    resets: list[Path] = []
    if isinstance(root, Tagged):
        root = root.value if root.tag == "!override" else None
    problems: list[Problem] = []
    strip(root, (), resets, problems)
    if problems:
        raise SyntaxProblem(problems)
    return Document(root, tuple(resets))


def _mark_at(text: str, offset: int, file: str) -> SourceMark:
    line = text.count("\n", 0, offset) + 1
    return SourceMark(file, line, offset - (text.rfind("\n", 0, offset) + 1) + 1)

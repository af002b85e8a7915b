"""Load a project that was loaded before without reading it again, if nothing it was made of has changed.

An entry is found by what was asked (directory, flags, our version). It holds if every file that was read has the same
bytes, every path that was looked at is still what it was, absent ones too, every address still stands for the same
digest or commit, and every variable that was looked up has the same value. Only successes are kept: errors and what
reads standard input are always loaded anew.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import SourceMark
from compose.loader.cachestore import Store
from compose.loader.files import LINK, kind_of, link_of
from compose.loader.tree import Map, Seq
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from compose.loader.marks import Marks
    from compose.loader.options import LoadOptions
    from compose.loader.pipeline import Loaded
    from compose.model.project import Project

    Trail = dict[str, Any]
    """What a load looked at: `files` (path to digest), `kinds`, `remotes` (address to identity), `variables` (name to digest, None if not set)."""

ALWAYS = ("HOME", "COMPOSE_ENV_FILES", "COMPOSE_DISABLE_ENV_FILE")
"""Variables the loader reads past its own tables."""
MAX_IN_MEMORY = 8
SECRET_VALUE = "x-#value"
"""As in compose.loader.bind, which a text from the cache need not import."""
_PLAIN = frozenset({str, int, float, bool, type(None)})
_SOURCES = ("loader", "model", "../schemas", "errors.py", "cli/render")
_memory: dict[str, tuple[Trail, Project]] = {}


class Traced(NamedTuple):
    """A project, and what it was made of; no trail if it cannot be kept."""

    project: Project
    trail: Trail | None


def load(options: LoadOptions) -> Traced:
    """The project the files describe, from memory, from the cache, or loaded. Raises LoadError."""
    if not options.cache:
        return Traced(_read(options)[1], None)
    name = name_of(options, "project")
    known = _memory.get(name)
    if known is not None and holds(known[0], options):
        trail, project = known
        return Traced(project.replace(environment=_environment(trail, options, project.name)), trail)
    store = Store(options.cache)
    entry = store.get(name)
    if isinstance(entry, dict) and holds(entry["trail"], options):
        project = _revive(entry, options)
        _remember(name, entry["trail"], project)
        return Traced(project, entry["trail"])
    loaded, project = _read(options)
    try:
        entry = _entry(loaded, project, options)
    except _Strange:
        return Traced(project, None)
    store.put(name, entry)
    _remember(name, entry["trail"], project)
    return Traced(project, entry["trail"])


def _read(options: LoadOptions) -> tuple[Loaded, Project]:
    from compose.loader.pipeline import load_traced

    return load_traced(options)


class Text(NamedTuple):
    """A text made of a project, the warnings of its load, and whether it was made just now."""

    text: str
    warnings: list[str]
    fresh: bool


def text(options: LoadOptions, shape: Iterable[str], make: Callable[[], tuple[str, list[str], Trail | None]]) -> Text:
    """A text made of a project; `shape` says which, `make` gives text, warnings and trail. Raises what `make` raises."""
    if not options.cache:
        return Text(*make()[:2], fresh=True)
    name = name_of(options, "text", *shape)
    store = Store(options.cache)
    entry = store.get(name)
    if isinstance(entry, dict) and holds(entry["trail"], options):
        return Text(entry["text"], entry["warnings"], fresh=False)
    made, warnings, trail = make()
    if trail is not None:
        store.put(name, {"trail": trail, "text": made, "warnings": warnings})
    return Text(made, warnings, fresh=True)


def name_of(options: LoadOptions, *what: str) -> str:
    """The name of an entry: a digest of what was asked and of the program that answers."""
    asked = [
        value if isinstance(value, (str, bool, tuple)) else None
        for name, value in ((name, getattr(options, name)) for name in type(options).__specs__)
        if name not in ("environ", "stdin", "cache")
    ]
    return hashlib.sha256(json.dumps([what, asked, VERSION, *program()]).encode()).hexdigest()[:32]


def holds(trail: Trail, options: LoadOptions) -> bool:
    """Whether everything a load looked at is as it was."""
    environ = options.environ
    for name, digest in trail["variables"].items():
        if _digest_of(environ.get(name)) != digest:
            return False
    for address, identity in trail["remotes"].items():
        if options.remote is None or options.remote(address).identity != identity:
            return False
    for path, kind in trail["kinds"].items():
        now = link_of(path[len(LINK) :]) if path.startswith(LINK) else kind_of(path)
        if now != kind:
            return False
    for path, digest in trail["files"].items():
        try:
            with open(os.path.join(options.cwd, path), "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != digest:
                    return False
        except OSError:
            return False
    return True


@functools.cache
def program() -> tuple[str, ...]:
    """What tells this program's code from another's of the same version, as while it is worked on.

    Found out once: it is about the code that this process has loaded.
    """
    here = os.path.dirname(os.path.dirname(__file__))
    found = []
    for part in _SOURCES:
        path = os.path.join(here, part)
        if os.path.isfile(path):
            found.append(str(os.stat(path).st_mtime_ns))
            continue
        with os.scandir(path) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
            found += [f"{entry.name} {entry.stat().st_mtime_ns}" for entry in listed if _is_source(entry.name)]
    return tuple(found)


def _is_source(name: str) -> bool:
    return name.endswith((".py", ".json"))


def _remember(name: str, trail: Trail, project: Project) -> None:
    _memory.pop(name, None)
    _memory[name] = (trail, project)
    while len(_memory) > MAX_IN_MEMORY:
        del _memory[next(iter(_memory))]


def _digest_of(value: str | None) -> str | None:
    """Of variables too: what is a secret shall not lie about because it was only looked at."""
    return None if value is None else hashlib.sha256(value.encode("utf-8", "surrogateescape")).hexdigest()


def _environment(trail: Trail, options: LoadOptions, name: str) -> dict[str, str]:
    """The variables as the loader would have put them together."""
    values = {**trail["offered"], **options.environ}
    values.setdefault("PWD", options.cwd)
    values["COMPOSE_PROJECT_NAME"] = name
    return values


class _Strange(Exception):
    """A value that JSON does not bring back as it was."""


def _entry(loaded: Loaded, project: Project, options: LoadOptions) -> dict[str, Any]:
    """What is kept of a load. Raises _Strange."""
    files, sources = loaded.files, loaded.sources
    if "-" in files.seen or "-" in sources.files:
        raise _Strange
    used = sources.environment.values.used.union(ALWAYS)
    trail: Trail = {
        "files": {
            path: hashlib.sha256(content).hexdigest() for path, content in files.seen.items() if content is not None
        },
        "kinds": files.kinds,
        "remotes": {address: remote.identity for address, remote in files.remotes.items()},
        "variables": {name: _digest_of(options.environ.get(name)) for name in sorted(used)},
        "offered": sources.environment.offered,
    }
    table: dict[str, int] = {}
    tree, marks = _pack(loaded.tree, None, table)
    environment = _environment(trail, options, project.name)
    _strip_secrets(tree, environment)
    return {
        "trail": trail,
        "tree": tree,
        "marks": json.dumps([list(table), marks], separators=(",", ":")),
        "sources": [sources.files, sources.directory, sources.env_files, sources.profiles, sources.name, sources.named],
        "read": {name: [service.environment, service.labels] for name, service in project.services.items()},
        "warnings": list(project.warnings),
    }


def _revive(entry: dict[str, Any], options: LoadOptions) -> Project:
    from compose.loader.assemble import revive
    from compose.loader.environment import Environment
    from compose.loader.report import Report
    from compose.loader.sources import Sources

    files, directory, env_files, profiles, name, named = entry["sources"]
    values = _environment(entry["trail"], options, name)
    sources = Sources(
        tuple(files), directory, Environment(values, Report()), tuple(env_files), tuple(profiles), name, named
    )
    tree = _trees(entry["tree"])
    _fill_secrets(tree, values)
    project = revive(tree, sources, options, entry["read"])
    return project.replace(
        environment=values, marks=_LateMarks(entry["tree"], entry["marks"]), warnings=tuple(entry["warnings"])
    )


def _pack(value: Any, mark: SourceMark | None, table: dict[str, int]) -> tuple[Any, Any]:
    """A marked tree as data, and its marks as data of the same shape. Raises _Strange."""
    place = _packed(mark, table)
    if isinstance(value, Map):
        pairs = {key: _pack(item, value.marks.get(key), table) for key, item in value.items()}
        tree = {key: data for key, (data, _) in pairs.items()}
        return tree, [place, _packed(value.mark, table), {key: marks for key, (_, marks) in pairs.items()}]
    if isinstance(value, Seq):
        items = [_pack(item, item_mark, table) for item, item_mark in value.marked()]
        return [data for data, _ in items], [place, _packed(value.mark, table), [marks for _, marks in items]]
    if type(value) not in _PLAIN:
        raise _Strange
    return value, place


def _packed(mark: SourceMark | None, table: dict[str, int]) -> Any:
    return 0 if mark is None else [table.setdefault(mark.file, len(table)), mark.line, mark.column]


def _trees(data: Any) -> Any:
    """Data as a tree without marks."""
    if isinstance(data, dict):
        return Map((key, _trees(item)) for key, item in data.items())
    return Seq(map(_trees, data)) if isinstance(data, list) else data


class _LateMarks(Mapping[str, SourceMark]):
    """The marks of a kept tree, put together when somebody asks: most commands have no error to locate."""

    def __init__(self, tree: Any, packed: str) -> None:
        self._tree = tree
        self._packed = packed
        self._marks: Marks | None = None

    def __getitem__(self, path: str) -> SourceMark:
        return self._unpacked()[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._unpacked())

    def __len__(self) -> int:
        return len(self._unpacked())

    def _unpacked(self) -> Marks:
        if self._marks is None:
            from compose.loader.marks import Marks

            files, marks = json.loads(self._packed)
            self._marks = Marks(_marked(self._tree, marks, files)[0])
        return self._marks


def _marked(data: Any, marks: Any, files: list[str]) -> tuple[Any, SourceMark | None]:
    """Data and its marks as a marked tree, and the mark of the whole."""
    if isinstance(data, dict):
        tree = Map(mark=_mark(marks[1], files))
        for key, item in data.items():
            tree.put(key, *_marked(item, marks[2][key], files))
        return tree, _mark(marks[0], files)
    if isinstance(data, list):
        sequence = Seq(mark=_mark(marks[1], files))
        for item, item_marks in zip(data, marks[2], strict=True):
            sequence.add(*_marked(item, item_marks, files))
        return sequence, _mark(marks[0], files)
    return data, _mark(marks, files)


def _mark(packed: Any, files: list[str]) -> SourceMark | None:
    return SourceMark(files[packed[0]], packed[1], packed[2]) if packed else None


def _held_by_variables(tree: Any) -> Iterator[dict[str, Any]]:
    for kind in ("secrets", "configs"):
        for resource in (tree.get(kind) or {}).values():
            if isinstance(resource, dict) and isinstance(resource.get("environment"), str):
                yield resource


def _strip_secrets(tree: Any, environment: Mapping[str, str]) -> None:
    """Leave out what the environment will give again."""
    for resource in _held_by_variables(tree):
        if SECRET_VALUE in resource and resource[SECRET_VALUE] == environment.get(resource["environment"]):
            del resource[SECRET_VALUE]


def _fill_secrets(tree: Map, environment: Mapping[str, str]) -> None:
    for resource in _held_by_variables(tree):
        value = environment.get(resource["environment"])
        if SECRET_VALUE not in resource and value is not None:
            resource[SECRET_VALUE] = value

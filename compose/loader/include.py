"""Takes over the resources of the projects that `include` names, each read with its own variables and directory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from compose.errors import ConsistencyError, LoadError, Problem, SchemaError, SourceNotFound
from compose.loader.environment import read_env_files
from compose.loader.remotes import is_remote
from compose.loader.scope import Scope
from compose.loader.shortforms import clean_path
from compose.loader.tree import Map, Seq, plain

if TYPE_CHECKING:
    from compose.errors import SourceMark
    from compose.loader.document import Document

KINDS = ("services", "volumes", "networks", "secrets", "configs", "models")


def apply_include(document: Document) -> None:
    """Read every included project and take its resources over, in place."""
    if document.scope.only_merge or "include" not in document.tree:
        return
    mark = document.tree.mark_of("include")
    entries = document.tree.pop("include")
    if entries is None:
        return
    if not isinstance(entries, Seq):
        document.scope.report.add(
            SchemaError, f"`include` must be a list, got {plain(entries)}", ("include",), mark, expected="a list"
        )
        return
    for index, (entry, entry_mark) in enumerate(entries.marked()):
        try:
            imported = _read(document, entry, entry_mark)
        except LoadError as error:
            for problem in error.problems:
                document.scope.report.add(type(error), problem.message, ("include", index), problem.mark or entry_mark)
            continue
        if imported is not None:
            _import(document, imported, entry_mark)


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, Seq) else []


def _read(document: Document, entry: Any, mark: SourceMark | None) -> Map | None:
    from compose.loader.pipeline import load_files

    scope = document.scope
    if not isinstance(entry, str | Map):
        raise SchemaError(Problem("include must be a mapping or string", mark=mark))
    values = Map([("path", entry)], mark) if isinstance(entry, str) else entry
    unknown = [key for key in values if key not in ("path", "project_directory", "env_file")]
    if unknown:
        raise SchemaError(
            Problem(
                f"include additional properties '{unknown[0]}' not allowed",
                mark=values.mark_of(unknown[0]),
                expected="path, project_directory or env_file",
            )
        )
    paths = _texts(values.get("path"))
    if not paths:
        return None
    located = [scope.find(path, mark) for path in paths]
    if located[0] in scope.included:
        chain = "".join(f" include {path}" for path in (*scope.included[1:], located[0]))
        raise ConsistencyError(Problem(f"include cycle detected: {scope.included[0]}{chain}", mark=mark))
    directory, base = _directory(scope, values.get("project_directory"), located[0], paths[0])
    environment = scope.environment.copy()
    read_env_files(environment, _env_files(scope, values, directory, mark), scope.files, mark)
    inner = Scope(scope.shared, environment, directory, base, included=scope.included)
    return load_files(inner, located, mark)


def _directory(scope: Scope, given: Any, located: str, path: str) -> tuple[str, str]:
    """The included project's directory, and how this scope sees it."""
    if not isinstance(given, str) or not given:
        if is_remote(path):
            return os.path.dirname(located), os.path.dirname(located)
        return os.path.dirname(located), scope.relative(path)
    if os.path.isabs(given):
        return given, given
    return clean_path(os.path.join(scope.directory, given)), scope.relative(given)


def _env_files(scope: Scope, values: Map, directory: str, mark: SourceMark | None) -> list[str]:
    named = _texts(values.get("env_file"))
    if not named:
        default = os.path.join(directory, ".env")
        return [default] if scope.files.is_file(default) else []
    located = [scope.find(path, mark) for path in named]
    for path in located:
        if os.path.isdir(path):
            raise SourceNotFound(Problem(f"{path} is not a file", mark=mark))
    return located


def _import(document: Document, imported: Map, mark: SourceMark | None) -> None:
    for kind in KINDS:
        resources = imported.get(kind)
        if not isinstance(resources, Map):
            continue
        own = document.tree.get(kind)
        if own is None:
            own = Map(mark=resources.mark)
            document.tree.put(kind, own, resources.mark)
        if not isinstance(own, Map):
            continue
        for name, resource in resources.items():
            if name not in own:
                own.put(name, resource, resources.mark_of(name))
            elif plain(own[name]) != plain(resource):
                theirs = resources.mark_of(name)
                document.scope.report.add(
                    ConsistencyError,
                    f"{kind}.{name} conflicts with imported resource",
                    (kind, name),
                    own.mark_of(name),
                    expected="another name, or the change in an override file",
                    related=tuple(filter(None, (theirs, mark))),
                )

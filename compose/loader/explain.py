"""Says where a value of the project came from: the place it was written, what it replaced, the variables in it.

The load is done once more with every document kept as it was written; the mark of the final value leads back to the
text it was made of.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import ComposeError, SourceMark
from compose.loader.assemble import assemble
from compose.loader.pipeline import load_model
from compose.loader.template import variables as in_text
from compose.loader.tree import Map, Seq, line_mark
from compose.model.project import nearest
from compose.model.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.loader.files import Files
    from compose.loader.options import LoadOptions
    from compose.model.project import Project
    from compose.model.service import ServiceConfig


class VariableOrigin(NamedTuple):
    """A variable a value was made of."""

    name: str
    value: str | None
    """None if it is not set."""
    origin: str
    """`environment` (the caller's), the path of an env file, `project` (set by the loader), or "" if it is not set."""


class Explanation(NamedTuple):
    """Where a value came from."""

    path: str
    value: Any
    mark: SourceMark | None
    """Where it was written; None if it is implied."""
    written: str
    """The text it was made of, if that was a template."""
    variables: tuple[VariableOrigin, ...]
    replaced: tuple[SourceMark, ...]
    """Where earlier files had said something else, the earliest first."""


def explain(options: LoadOptions, path: str) -> Explanation:
    """Explain the value at a path such as `services.web.environment.LOG_LEVEL`.

    Raises LoadError, or ComposeError if the project has nothing there.
    """
    loaded = load_model(options.replace(trace=True))
    unresolved = assemble(
        loaded.tree, loaded.sources, loaded.report, options.replace(resolve_environment=False), loaded.files
    )
    project = assemble(loaded.tree, loaded.sources, loaded.report, options, loaded.files)
    parts = path.split(".")
    value = _value(project, parts)
    mark = project.mark(path)
    origins = loaded.sources.environment

    def origin(name: str) -> VariableOrigin:
        return VariableOrigin(name, origins.lookup(name), origins.origins.get(name, ""))

    if len(parts) == 4 and parts[0] == "services" and parts[2] == "environment":
        service, name = unresolved.all_services[parts[1]], parts[3]
        if name not in service.environment:
            place = _in_env_files(service, name, loaded.files)
            return Explanation(path, value, place or mark, "", (), ())
        if _stands_alone(loaded.written, mark, name):
            return Explanation(path, value, mark, name, (origin(name),), ())
    text = next((text for text in _texts(loaded.written, mark) if _is_about(text, parts[-1])), "")
    named = dict.fromkeys(variable.name for variable in in_text(text))
    replaced = tuple(place for tree in loaded.written if (place := _place(tree, parts)) is not None and place != mark)
    return Explanation(path, value, mark, text if named else "", tuple(map(origin, named)), replaced)


def _value(project: Project, parts: list[str]) -> Any:
    node: Any = {
        "name": project.name,
        "services": project.all_services,
        "networks": project.networks,
        "volumes": project.volumes,
        "secrets": project.secrets,
        "configs": project.configs,
        "models": project.models,
    }
    for index, part in enumerate(parts):
        name, *indices = re.split(r"[\[\]]+", part.rstrip("]"))
        known = (
            node if isinstance(node, dict) else dict.fromkeys(type(node).__specs__) if isinstance(node, Record) else {}
        )
        if name not in known:
            suggestion = nearest(name, known)
            hint = f'; did you mean "{suggestion}"?' if suggestion else ""
            raise ComposeError(f"{'.'.join(parts[: index + 1])}: the project has no such value{hint}")
        node = node[name] if isinstance(node, dict) else getattr(node, name)
        for text in indices:
            if not isinstance(node, tuple) or not text.isdigit() or int(text) >= len(node):
                raise ComposeError(f"{'.'.join(parts[: index + 1])}: the project has no such value")
            node = node[int(text)]
    return node


def _scalars(tree: Any) -> Iterator[tuple[Any, SourceMark | None]]:
    if isinstance(tree, Map):
        for key, item in tree.items():
            yield from _scalars(item) if isinstance(item, dict | list) else ((item, tree.mark_of(key)),)
    elif isinstance(tree, Seq):
        for item, mark in tree.marked():
            yield from _scalars(item) if isinstance(item, dict | list) else ((item, mark),)


def _texts(written: list[Map], mark: SourceMark | None) -> Iterator[str]:
    for tree in written:
        for item, place in _scalars(tree):
            if place == mark and isinstance(item, str):
                yield item


def _is_about(text: str, last: str) -> bool:
    """A line `KEY=...` of a list is only about its key."""
    key, assigned, _ = text.partition("=")
    return not assigned or key == last or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", key)


def _stands_alone(written: list[Map], mark: SourceMark | None, name: str) -> bool:
    """Whether a variable is passed on without a value: `- NAME` or `NAME:`."""
    found = [item for tree in written for item, place in _scalars(tree) if place == mark]
    return name in found or None in found


def _place(tree: Any, parts: list[str]) -> SourceMark | None:
    """Where a document says something at the path, in whatever form."""
    mark: SourceMark | None = None
    for part in parts:
        if isinstance(tree, Map) and part in tree:
            mark, tree = tree.mark_of(part), tree[part]
        elif isinstance(tree, Seq):
            return line_mark(tree, part)
        else:
            return None
    return mark


def _in_env_files(service: ServiceConfig, name: str, files: Files) -> SourceMark | None:
    """The line of the last env file that sets a variable."""
    assignment = re.compile(rf"[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*(?:[=:]|$)")
    for file in reversed(service.env_file):
        if not files.exists(file.path):
            continue
        for number, line in reversed(list(enumerate(files.text(file.path).split("\n"), start=1))):
            if assignment.match(line):
                return SourceMark(file.path, number, 1)
    return None

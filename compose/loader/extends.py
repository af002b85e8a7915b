"""Takes over the services that `extends` names, in the same file or in another, through any number of steps."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from compose.errors import ConsistencyError, LoadError, Problem, SchemaError
from compose.loader.document import apply_resets
from compose.loader.merge import merge_service
from compose.loader.remotes import is_remote
from compose.loader.tree import Map, Path, clone

if TYPE_CHECKING:
    from compose.errors import SourceMark
    from compose.loader.document import Document
    from compose.loader.scope import Scope

MAX_CHAIN = 400


class _Place:
    """A set of services, the file they are in and what that file resets."""

    __slots__ = ("file", "resets", "services")

    def __init__(self, services: Map, file: str, resets: tuple[Path, ...]) -> None:
        self.services = services
        self.file = file
        self.resets = resets


def apply_extends(document: Document) -> None:
    """Resolve every `extends` of a document, in place."""
    services = document.tree.get("services")
    if document.scope.only_merge or services is None:
        return
    if not isinstance(services, Map):
        return  # the schema names it
    place = _Place(services, document.file, document.resets)
    for name in list(services):
        extend = _Extend(document.scope, name)
        try:
            extend.service(place, name, ())
        except LoadError as error:
            for problem in error.problems:
                document.scope.report.add(
                    type(error), problem.message, ("services", name), problem.mark, suggestion=problem.suggestion
                )
            if isinstance(services[name], Map):
                services[name].pop("extends", None)


class _Extend:
    def __init__(self, scope: Scope, origin: str) -> None:
        self.scope = scope
        self.origin = origin

    def service(self, place: _Place, name: str, chain: tuple[tuple[str, str], ...]) -> Map | None:
        """The service with its base laid under it; it also replaces the one in `place`."""
        service = place.services.get(name)
        if not isinstance(service, Map) or "extends" not in service:
            return service if isinstance(service, Map) else None
        mark = service.mark_of("extends")
        reference = self._reference(service["extends"], name, mark)
        if reference is None:
            return service
        target, file = reference
        if (place.file, name) in chain:
            raise ConsistencyError(Problem(_circle((*chain, (place.file, name))), mark=mark))
        if len(chain) > MAX_CHAIN:
            raise ConsistencyError(Problem(f"more than {MAX_CHAIN} services extend each other in a row", mark=mark))
        source = self._other(place, name, target, file, mark) if file else place
        if target not in source.services:
            from compose.model.project import nearest

            suggestion = nearest(target, [other for other in source.services if file or other != name])
            text = self._not_found(place, name, target, file, source)
            raise ConsistencyError(Problem(text, mark=mark, suggestion=suggestion))
        base = self.service(source, target, (*chain, (place.file, name)))
        if base is None:
            return service
        under: Map = clone(base)
        apply_resets(under, place.resets, ("services", name))
        merged = merge_service(under, service, name, self.scope.report)
        merged.pop("extends", None)
        merged.mark = service.mark
        place.services[name] = merged
        return merged

    def _reference(self, extends: Any, name: str, mark: SourceMark | None) -> tuple[str, str] | None:
        if isinstance(extends, str):
            return extends, ""
        if not isinstance(extends, Map):
            return None  # the schema names it
        target, file = extends.get("service"), extends.get("file")
        if not isinstance(target, str):
            raise SchemaError(Problem(f"extends.{name}.service is required", mark=mark))
        return target, file if isinstance(file, str) else ""

    def _other(self, place: _Place, name: str, target: str, file: str, mark: SourceMark | None) -> _Place:
        from compose.loader.pipeline import load_extended

        path = self.scope.find(file, mark)
        foreign = is_remote(file) or self.scope.files.remote_of(mark) is not None
        base = os.path.dirname(path) if foreign else self.scope.relative(file)
        tree, resets = load_extended(self.scope, path, base, mark)
        services = tree.get("services")
        if services is None:
            raise ConsistencyError(Problem(f'cannot extend service "{name}" in {path}: no services section', mark=mark))
        if not isinstance(services, Map):
            raise SchemaError(
                Problem(f'cannot extend service "{name}" in {path}: services must be a mapping', mark=mark)
            )
        return _Place(services, path, resets)

    def _not_found(self, place: _Place, name: str, target: str, file: str, source: _Place) -> str:
        where = f' in "{file}"' if file else ""
        known = ", ".join(sorted(source.services)) or "none"
        return (
            f'cannot extend service "{name}" in {place.file}: service "{target}" not found{where.replace(chr(34), "")}'
            f" (services there: {known})"
        )


def _circle(chain: tuple[tuple[str, str], ...]) -> str:
    (file, name), *rest = chain
    steps = "".join(f" extends {step} in {path}" for path, step in rest)
    return f"Circular reference: {name} in {file}{steps}"

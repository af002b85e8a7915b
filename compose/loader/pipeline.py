"""Files to a Project, phase by phase.

`DOCUMENT_PHASES` run for each YAML document in turn, `PROJECT_PHASES` once for what they add up to. A phase changes
trees in place, reports what is wrong and goes on; the end of the load raises everything that was reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import LoadError, Problem, SchemaError, SourceMark
from compose.loader.bind import SECRET_VALUE
from compose.loader.canonical import canonical
from compose.loader.defaults import set_defaults
from compose.loader.document import Document, apply_resets
from compose.loader.environment import Environment
from compose.loader.extends import apply_extends
from compose.loader.files import Files
from compose.loader.include import apply_include
from compose.loader.interpolate import interpolate, text_of
from compose.loader.merge import merge
from compose.loader.normalize import normalize
from compose.loader.report import Report
from compose.loader.resolve_paths import resolve_paths
from compose.loader.scope import Scope, Shared
from compose.loader.sources import Sources, find, normalize_name
from compose.loader.tree import Map, Path, Seq, clone, plain
from compose.loader.unicity import enforce
from compose.loader.validate import validate
from compose.loader.values import check_values, resolve_contents
from compose.loader.yamlio import read

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.loader.options import LoadOptions
    from compose.model.project import Project


def _interpolate(document: Document) -> None:
    if document.scope.shared.options.trace:
        document.scope.shared.written.append(clone(document.tree))
    if document.scope.shared.options.interpolate:
        interpolate(document.tree, document.scope.environment, document.scope.report)


def _resets(document: Document) -> None:
    apply_resets(document.project, document.resets)


def _merge(document: Document) -> None:
    merge(document.project, document.tree, document.scope.report)


def _unique(document: Document) -> None:
    enforce(document.project)


def _schema(document: Document) -> None:
    if document.scope.only_merge:
        return
    if "version" in document.project and not document.scope.shared.options.schema:
        document.scope.report.warn(
            f"{document.file}: the attribute `version` is obsolete, it will be ignored, please remove it to avoid"
            " potential confusion"
        )
    validate(document.project, "compose-spec", document.scope.report)
    document.project.pop("version", None)


def _canonical(document: Document) -> None:
    canonical(document.project, document.scope.report, lenient=not document.scope.shared.options.interpolate)


def _omit_empty(document: Document) -> None:
    services = document.project.get("services")
    for service in services.values() if isinstance(services, Map) else ():
        dns = service.get("dns") if isinstance(service, Map) else None
        if isinstance(dns, Seq) and any(item in (None, "") for item in dns):
            kept = [(item, mark) for item, mark in dns.marked() if item not in (None, "")]
            dns[:] = [item for item, _ in kept]
            dns.marks = [mark for _, mark in kept]


def _legacy_schema(document: Document) -> None:
    """Each file by itself must be of the version that was asked for; what extends and includes add is not its own."""
    version = document.scope.shared.options.schema
    if not version or document.scope.only_merge:
        return
    try:
        validate(document.tree, version, document.scope.report)
    except KeyError:
        raise SchemaError(
            Problem(f"there is no schema {version}", expected="compose-spec, 2.0 to 2.4, or 3.0 to 3.13")
        ) from None


DOCUMENT_PHASES = (
    _interpolate,
    _legacy_schema,
    apply_extends,
    _resets,
    apply_include,
    _merge,
    _unique,
    _schema,
    _canonical,
    _omit_empty,
    _unique,
)


def _defaults(scope: Scope, project: Map) -> None:
    set_defaults(project)


def _values(scope: Scope, project: Map) -> None:
    check_values(project, scope.report, lenient=not scope.shared.options.interpolate)


def _paths(scope: Scope, project: Map) -> None:
    if scope.included or scope.shared.options.resolve_paths:
        resolve_paths(project, scope.path_base())


def _contents(scope: Scope, project: Map) -> None:
    resolve_contents(project, scope.environment)


PROJECT_PHASES = (
    _defaults,
    _values,
    _paths,
    _contents,
)


def load_documents(scope: Scope, file: str, project: Map, mark: SourceMark | None = None) -> tuple[Path, ...]:
    """Take the documents of one file into `project`; gives the resets of the last one."""
    included = scope.included
    scope.included = (*included, file)
    resets: tuple[Path, ...] = ()
    for tree, resets in parse(scope, file, mark):
        document = Document(scope, file, tree, resets, project)
        for phase in DOCUMENT_PHASES:
            phase(document)
    scope.included = included
    return resets


def parse(scope: Scope, file: str, mark: SourceMark | None = None) -> list[tuple[Map, tuple[Path, ...]]]:
    """The documents of a file, fresh from the parser: the caller may change them."""
    prepared = scope.shared.parsed.pop(file, None)
    if prepared is not None:
        return prepared
    shown = scope.files.shown(file)
    documents: list[tuple[Map, tuple[Path, ...]]] = []
    for document in read(scope.files.read(file, mark), shown):
        if not isinstance(document.root, Map):
            raise SchemaError(
                Problem(
                    "top-level object must be a mapping",
                    mark=getattr(document.root, "mark", None) or SourceMark(shown, 1, 1),
                    expected=f"`services:` and such, not {_kind(document.root)}",
                )
            )
        documents.append((document.root, document.resets))
    return documents


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else f'"{str(value)[:40]}"'


def load_files(scope: Scope, files: Iterable[str], mark: SourceMark | None = None) -> Map:
    """All files of a scope as one canonical tree."""
    project = Map()
    for file in files:
        load_documents(scope, file, project, mark)
    for phase in PROJECT_PHASES:
        phase(scope, project)
    return project


def load_extended(scope: Scope, file: str, base: str, mark: SourceMark | None) -> tuple[Map, tuple[Path, ...]]:
    """The file of a base service, its paths as seen from this scope; read once, so clone what you change."""
    key = (file, base)
    known = scope.shared.extended.get(key)
    if known is None:
        project = Map()
        inner = Scope(scope.shared, scope.environment, scope.directory, base, only_merge=True)
        resets = load_documents(inner, file, project, mark)
        resolve_paths(project, scope.base_at(base))
        known = scope.shared.extended[key] = (project, resets)
    return known


class Loaded(NamedTuple):
    """What a load has in hand before the model."""

    tree: Map
    sources: Sources
    report: Report
    files: Files
    written: list[Map]
    """With `trace`: every document as it was written."""


def load_model(options: LoadOptions) -> Loaded:
    """The canonical tree, before it is bound to the model; problems wait in the report."""
    report = Report()
    files = Files(options.cwd, options.stdin, options.remote)
    sources = find(options, files, report)
    shared = Shared(options, files, report)
    # without interpolation variables are not looked at either
    environment = (
        sources.environment if options.interpolate else Environment({}, report, used=sources.environment.values.used)
    )
    scope = Scope(shared, environment, sources.directory, sources.directory)
    for file in sources.files:
        shared.parsed[file] = parse(scope, file)
    name = _project_name(shared, sources)
    sources = sources._replace(name=name)
    for variables in (sources.environment, environment):
        variables.put("COMPOSE_PROJECT_NAME", name, "project")
    tree = load_files(scope, dict.fromkeys(sources.files))
    if not tree and not report.problems:
        raise LoadError(Problem("empty compose file", mark=SourceMark(sources.files[0])))
    if not name:
        report.add(
            LoadError, "project name must not be empty", expected="a name by -p, COMPOSE_PROJECT_NAME or `name:`"
        )
    if options.normalize:
        tree["name"] = name
        normalize(tree, name, environment)
    return Loaded(tree, sources, report, files, shared.written)


def load(options: LoadOptions) -> Project:
    """The project the files describe. Raises LoadError with everything that is wrong with them."""
    return load_traced(options)[1]


def load_traced(options: LoadOptions) -> tuple[Loaded, Project]:
    """The project, and what it was made of. Raises LoadError."""
    from compose.loader.assemble import assemble

    loaded = load_model(options)
    return loaded, assemble(loaded.tree, loaded.sources, loaded.report, options, loaded.files)


def model_tree(options: LoadOptions) -> dict[str, Any]:
    """The canonical tree as data, all services and resources in it; what `config --no-interpolate` prints.

    Values that variables hold are left out. Raises LoadError.
    """
    loaded = load_model(options)
    loaded.report.raise_if_any()
    for kind in ("secrets", "configs"):
        for resource in (loaded.tree.get(kind) or {}).values():
            if isinstance(resource, Map):
                resource.pop(SECRET_VALUE, None)
    tree: dict[str, Any] = plain(loaded.tree)
    return tree


def _project_name(shared: Shared, sources: Sources) -> str:
    if sources.named:
        return sources.name
    name, mark = "", None
    for documents in shared.parsed.values():
        for tree, _ in documents:
            if isinstance(tree.get("name"), str) and tree["name"]:
                name, mark = tree["name"], tree.mark_of("name")
    if not name:
        return sources.name
    if shared.options.interpolate:
        name = text_of(name, sources.environment, "name", mark, shared.report)
    return normalize_name(name) if shared.options.normalize else name

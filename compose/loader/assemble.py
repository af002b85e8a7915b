"""A canonical tree to the Project: bind, enable by profile, check, read the files of variables and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import LoadError, Problem, SchemaError, SourceNotFound
from compose.loader.bind import SECRET_VALUE, Binder
from compose.loader.checks import check, in_step
from compose.loader.dotenv import PARSERS
from compose.loader.marks import Marks
from compose.loader.report import Report
from compose.loader.tree import Map, find_mark, plain
from compose.model.aimodel import ModelConfig
from compose.model.fileobject import ConfigObjConfig, SecretConfig
from compose.model.network import NetworkConfig
from compose.model.project import Project
from compose.model.service import EnvFile, ServiceConfig
from compose.model.volume import VolumeConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.loader.files import Files
    from compose.loader.options import LoadOptions
    from compose.loader.sources import Sources
    from compose.model.record import Record

_KINDS: dict[str, type[Record]] = {
    "networks": NetworkConfig,
    "volumes": VolumeConfig,
    "secrets": SecretConfig,
    "configs": ConfigObjConfig,
    "models": ModelConfig,
}


def assemble(tree: Map, sources: Sources, report: Report, options: LoadOptions, files: Files) -> Project:
    """The project. Raises LoadError with everything that was reported on the way here."""
    project = bind(tree, sources, report).with_profiles(sources.profiles)
    if options.consistency:
        project = check(project, report, conflicts=options.conflicts, selected=options.selected)
    reader = _VariableFiles(sources.environment.lookup, tree, report, files)
    services = {
        name: reader.service(service, environment=options.resolve_environment)
        for name, service in project.services.items()
    }
    report.raise_if_any()
    return project.replace(services=services, warnings=tuple(report.warnings))


def revive(
    tree: Map, sources: Sources, options: LoadOptions, resolved: dict[str, tuple[dict[str, Any], dict[str, str]]]
) -> Project:
    """The project of a tree that was assembled before; `resolved` holds what services had from files then.

    That is, by service: `environment` and `labels`.
    """
    project = bind(tree, sources, Report()).with_profiles(sources.profiles)
    services = project.services
    if options.consistency:
        services = {name: in_step(service) for name, service in services.items()}
    for name, (environment, labels) in resolved.items():
        service = services[name].replace(labels=labels, label_file=())
        services[name] = (
            service.replace(environment=environment, env_file=()) if options.resolve_environment else service
        )
    return project.replace(services=services)


def bind(tree: Map, sources: Sources, report: Report) -> Project:
    """The model of a canonical tree, all services enabled."""
    binder = Binder(tree, report)
    values: dict[str, Any] = {}
    for kind, record in _KINDS.items():
        resources = tree.get(kind)
        values[kind] = {
            name: binder.record(record, value, (kind, name), **_content(kind, value))
            for name, value in sorted(resources.items() if isinstance(resources, Map) else ())
            if not (name.startswith("x-") and kind == "models")
        }
    services = tree.get("services")
    values["services"] = {
        name: binder.record(ServiceConfig, value, ("services", name), name=name)
        for name, value in sorted(services.items() if isinstance(services, Map) else ())
        if isinstance(value, Map)
    }
    return Project(
        name=sources.name,
        working_dir=sources.directory,
        compose_files=sources.files,
        environment=sources.environment.values,
        extensions={key: plain(value) for key, value in tree.items() if key.startswith("x-")},
        marks=Marks(tree),
        **values,
    )


def _content(kind: str, value: Any) -> dict[str, Any]:
    if kind in ("secrets", "configs") and isinstance(value, Map) and SECRET_VALUE in value:
        return {"content": value[SECRET_VALUE]}
    return {}


class _VariableFiles:
    """Reads `env_file` and `label_file` of services."""

    def __init__(self, lookup: Callable[[str], str | None], tree: Map, report: Report, files: Files) -> None:
        self.lookup = lookup
        self.tree = tree
        self.report = report
        self.files = files

    def service(self, service: ServiceConfig, *, environment: bool) -> ServiceConfig:
        """The service with the content of its files in `environment` and `labels`."""
        if service.label_file:
            service = service.replace(labels=self._labels(service), label_file=())
        if not environment:
            return service
        own = {name: self.lookup(name) if value is None else value for name, value in service.environment.items()}
        if service.env_file:
            found = {name: value for name, value in own.items() if value is not None}
            for index, file in enumerate(service.env_file):
                self._read_variables(service, index, file, own, found)
            own = {**found, **own}
            service = service.replace(env_file=())
        return service.replace(environment=own)

    def _read_variables(
        self, service: ServiceConfig, index: int, file: EnvFile, own: dict[str, str | None], found: dict[str, str]
    ) -> None:
        path = ("services", service.name, "env_file", index)
        mark = find_mark(self.tree, path)

        def lookup(name: str) -> str | None:
            outside = self.lookup(name)
            return own.get(name) if outside is None else outside

        if not self.files.exists(file.path):
            if file.required:
                text = f"env file {file.path} not found: stat {file.path}: no such file or directory"
                self.report.add(SourceNotFound, text, path, mark, expected="the file, or `required: false`")
            return
        parse = PARSERS.get(file.format)
        if parse is None:
            text = f'unsupported env_file format "{file.format}"'
            self.report.add(SchemaError, text, path, mark, expected="raw, or no format")
            return
        try:
            parse(self.files.text(file.path, mark), file.path, lookup, found)
        except LoadError as error:
            self._take(error, path, mark)

    def _labels(self, service: ServiceConfig) -> dict[str, str]:
        labels: dict[str, str] = {}
        for index, file in enumerate(service.label_file):
            path = ("services", service.name, "label_file", index)
            mark = find_mark(self.tree, path)
            if not self.files.exists(file):
                text = f"label file {file} not found: stat {file}: no such file or directory"
                self.report.add(SourceNotFound, text, path, mark)
                continue
            try:
                labels.update(PARSERS[""](self.files.text(file, mark), file, labels.get))
            except LoadError as error:
                self._take(error, path, mark)
        return {**labels, **service.labels}

    def _take(self, error: LoadError, path: tuple[str | int, ...], mark: Any) -> None:
        for problem in error.problems:
            named: Problem = problem
            related = (mark,) if mark is not None and named.mark != mark else ()
            self.report.add(type(error), named.message, path, named.mark or mark, related=related)

"""Tell what a project comes to: the whole model as data, or one aspect of it; needs no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.model.record import Record
from compose.usecases.projects import load_options

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compose.graph import DependencyGraph
    from compose.loader.explain import Explanation
    from compose.loader.options import LoadOptions
    from compose.loader.template import Variable
    from compose.model.project import Project
    from compose.usecases.projects import ProjectRequest


class ConfigRequest(Record):
    """What of the loading is left out, and which services are shown."""

    services: tuple[str, ...] = ()
    interpolate: bool = True
    normalize: bool = True
    resolve_paths: bool = True
    consistency: bool = True
    resolve_environment: bool = True
    schema: str = ""
    digest_of: Callable[[str], str] | None = None
    """Asks a registry what a reference stands for: the model's images are pinned by it."""
    images_only: bool = False
    """The model is an override file with the images."""


class Config:
    """A project as `config` sees it. Every method loads what it needs and raises LoadError and NoSuchService."""

    def __init__(self, project: ProjectRequest, request: ConfigRequest) -> None:
        self._project = project
        self._request = request
        self._warned: list[str] = []
        self._trail: dict[str, Any] | None = None
        """What the load looked at, None before there is one or if it cannot be kept."""

    @property
    def is_resolved(self) -> bool:
        """Whether `model` gives the objects of the model; else it is maps, of which the order says nothing."""
        return bool(self._request.interpolate)

    def rendered(self, shape: Sequence[str], render: Callable[[], str]) -> str:
        """What `render` makes of this project, from the cache if nothing it is made of has changed.

        `shape` says which text it is. Raises what `render` raises.
        """
        from compose.loader import cache

        request = self._request
        known = ("+", *request.services, "+", str(self._project.all_resources), *shape)
        text, warnings, fresh = cache.text(self._options(), known, lambda: (render(), self._warned, self._trail))
        if not fresh:
            self._tell(warnings)
        return text

    def model(self, *, json: bool) -> dict[str, Any]:
        """The canonical model as data; dollars are doubled unless variables were left alone."""
        if not self._request.interpolate:
            from compose.loader.pipeline import model_tree

            return model_tree(self._options())
        from compose.model.marshal import escape_dollars, project_tree

        project = self._load(self._request.services)
        if self._request.digest_of is not None:
            from compose.usecases.imagedigests import pin

            project = pin(project, self._request.digest_of)
        if self._request.images_only:
            project = _only_images(project)
        tree: dict[str, Any] = escape_dollars(project_tree(project, json=json))
        if json and self._request.images_only:
            tree["name"] = ""
        return tree

    def services(self) -> list[str]:
        """Names of the enabled services, what is depended on first."""
        if not self._request.interpolate:
            return sorted(self.model(json=False).get("services") or {})
        from compose.graph import DependencyGraph

        return list(DependencyGraph.of(self._load().services).order())

    def volumes(self) -> list[str]:
        """Keys of the volumes in use."""
        return sorted(self._load().volumes)

    def networks(self) -> list[str]:
        """Keys of the networks in use."""
        return sorted(self._load().networks)

    def models(self) -> list[str]:
        """The models in use."""
        return [model.model for _, model in sorted(self._load().models.items()) if model.model]

    def profiles(self) -> list[str]:
        """All profiles that services mention."""
        found = self._load(self._request.services).all_services.values()
        return sorted({profile for service in found for profile in service.profiles})

    def images(self) -> list[str]:
        """The image of each service."""
        from compose.model.naming import image_name

        project = self._load(self._request.services)
        return [image_name(project, service) for service in project.services.values()]

    def hashes(self, wanted: Sequence[str]) -> list[tuple[str, str]]:
        """Names and configuration hashes of some services, or of all."""
        from compose.model.confighash import service_hash

        request = self._request.replace(resolve_environment=False)
        other = Config(self._project, request)
        project = other._load()
        self._warned, self._trail = other._warned, other._trail
        names = sorted(wanted or project.services)
        return [(name, service_hash(project.service(name))) for name in names]

    def variables(self) -> dict[str, Variable]:
        """The variables that the files mention."""
        from compose.loader.variables import variables

        return variables(self._options())

    def environment(self) -> list[str]:
        """The variables that the files are interpolated with, as `NAME=value`."""
        return [f"{name}={value}" for name, value in sorted(self._load().environment.items())]

    def explain(self, path: str) -> Explanation:
        """Where a value of the model came from. Raises ComposeError if there is none at the path."""
        from compose.loader.explain import explain

        return explain(self._options(), path)

    def graph(self) -> DependencyGraph:
        """The enabled services and what each needs; only the named ones and what they need, if any is named."""
        from compose.graph import DependencyGraph

        return DependencyGraph.of(self._load(self._request.services).services)

    def _load(self, services: Sequence[str] = ()) -> Project:
        from compose.loader.cache import load
        from compose.usecases.hostnetworks import declares_subnets, overlaps

        project, self._trail = load(self._options().replace(selected=tuple(services)))
        warnings = project.warnings
        if declares_subnets(project):
            # the host's networks are no part of what the cache compares
            self._trail = None
            warnings += tuple(map(str, overlaps(project, self._project.environ)))
        self._tell(warnings)
        project = project.with_enabled(services).with_selected(services) if services else project
        return project if self._project.all_resources else project.without_unused_resources()

    def _tell(self, warnings: Sequence[str]) -> None:
        self._warned = list(warnings)
        if self._project.warn is not None:
            for warning in warnings:
                self._project.warn(warning)

    def _options(self) -> LoadOptions:
        request = self._request
        return load_options(self._project).replace(
            interpolate=request.interpolate,
            normalize=request.normalize,
            resolve_paths=request.resolve_paths,
            consistency=request.consistency,
            resolve_environment=request.resolve_environment,
            schema=request.schema,
        )


def _only_images(project: Project) -> Project:
    from compose.model.project import Project as Bare
    from compose.model.service import ServiceConfig

    services = {name: ServiceConfig(name=name, image=service.image) for name, service in project.services.items()}
    return Bare(name="", working_dir=project.working_dir, services=services)

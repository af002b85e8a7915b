"""Say what should be: the services in scope, how many of each, and how willing we are to replace what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ConsistencyError
from compose.graph import DependencyGraph
from compose.model.confighash import service_hash
from compose.model.naming import image_name
from compose.model.record import Record

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.options import Recreate, UpOptions


class DesiredService(Record):
    """A service in scope."""

    config: ServiceConfig
    replicas: int
    recreate: Recreate
    config_hash: str
    image: str

    @property
    def name(self) -> str:
        return self.config.name


class DesiredState(Record):
    """What the project should be once the plan is done."""

    project: Project
    """Restricted to the scope, scaled as asked."""
    services: Mapping[str, DesiredService]
    """Without those that a provider program stands for."""
    graph: DependencyGraph
    known: frozenset[str]
    """All services of the files, also those out of scope or of another profile: their containers are no orphans."""


def desired_state(project: Project, options: UpOptions) -> DesiredState:
    """The state that `up` aims at; raises NoSuchService, and ConsistencyError on a cycle or a missing dependency."""
    scaled = project.with_scale(options.scale)
    scoped = scaled.with_selected(options.services, dependencies=not options.no_deps)
    # dependencies out of scope stay in the labels: they order the next command
    scoped = scoped.replace(services={name: scaled.services[name] for name in scoped.services})
    if not options.all_resources:
        scoped = scoped.without_unused_resources()
    if not options.no_deps:
        _check_dependencies(project, scoped.services)
    graph = DependencyGraph.of(scoped.services)
    return DesiredState(
        project=scoped,
        services={
            name: DesiredService(
                config=scoped.services[name],
                replicas=scoped.services[name].replicas,
                recreate=_recreate(name, options),
                config_hash=service_hash(scoped.services[name]),
                image=image_name(project, scoped.services[name]),
            )
            for name in graph.order()
            if scoped.services[name].provider is None
        },
        graph=graph,
        known=frozenset(project.all_services),
    )


def images(project: Project) -> tuple[str, ...]:
    """References of all images the enabled services need: those to ask a snapshot for."""
    return tuple(sorted({image_name(project, one) for one in project.services.values() if one.provider is None}))


def _recreate(name: str, options: UpOptions) -> Recreate:
    if options.services and name not in options.services:
        return options.recreate_dependencies
    return "force" if options.renew_anonymous_volumes else options.recreate


def _check_dependencies(project: Project, names: Iterable[str]) -> None:
    for name in names:
        for target, edge in project.services[name].depends_on.items():
            if target in project.services or not edge.required:
                continue
            disabled = project.disabled_services.get(target)
            if disabled is None:
                raise ConsistencyError(
                    f'service "{name}" depends on undefined service "{target}": invalid compose project'
                )
            profiles = f"[{' '.join(disabled.profiles)}]"
            raise ConsistencyError(
                f"service {target} is required by {name} but is disabled. Can be enabled by profiles {profiles}"
            )

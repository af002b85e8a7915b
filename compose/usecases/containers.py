"""Pick containers of a project out of what the engine has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError, NoSuchService
from compose.model.project import nearest
from compose.reconcile import labels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compose.model.project import Project
    from runtime.client.client import Client
    from runtime.wire.containers import ContainerInspect

ACTIVE = frozenset({"running", "paused", "restarting"})


def labels_of(container: ContainerInspect) -> Mapping[str, str]:
    """A container's labels."""
    return container.get("Config", {}).get("Labels") or {}


def name_of(container: ContainerInspect) -> str:
    """A container's name without its slash."""
    return container.get("Name", "").removeprefix("/")


def service_of(container: ContainerInspect) -> str:
    """The service a container belongs to."""
    return labels_of(container).get(labels.SERVICE, "")


def status_of(container: ContainerInspect) -> str:
    """created, running, paused, restarting, exited, ..."""
    return container.get("State", {}).get("Status", "")


def is_active(container: ContainerInspect) -> bool:
    """Whether it has processes or is about to have some again."""
    return status_of(container) in ACTIVE


def log_name(container: ContainerInspect) -> str:
    """What stands before its log lines: the name, without the project if Compose gave it."""
    name, found = name_of(container), labels_of(container)
    project, number = found.get(labels.PROJECT, ""), found.get(labels.NUMBER, "")
    for separator in ("-", "_"):
        if number and name == separator.join((project, service_of(container), number)):
            return name[len(project) + 1 :]
    return name


def of_project(
    client: Client, project: str, services: Iterable[str] = (), *, all: bool = False, one_offs: bool = False
) -> list[ContainerInspect]:
    """Containers of a project by name, of some services or of all; stopped ones and one-offs if asked for."""
    wanted = frozenset(services)
    found = [
        container
        for container in client.containers({labels.PROJECT: project}, all=all)
        if (one_offs or not labels.is_one_off(labels_of(container))) and (not wanted or service_of(container) in wanted)
    ]
    return sorted(found, key=_by_name)


def specified(client: Client, project: str, service: str, index: int, *, all: bool = False) -> ContainerInspect:
    """The container of a service with a number, or the first one. Raises ComposeError if it does not run."""
    found = [
        container
        for container in of_project(client, project, [service], all=all, one_offs=True)
        if not index or labels.number(labels_of(container)) == index
    ]
    if not found:
        which = f" container #{index}" if index else ""
        raise ComposeError(f'service "{service}" is not running{which}')
    return min(found, key=lambda each: (labels.is_one_off(labels_of(each)), labels.number(labels_of(each))))


def check_services(project: Project | None, services: Sequence[str]) -> None:
    """Raises NoSuchService for a name that the files do not have; without files anything may be."""
    if project is None:
        return
    known = project.services
    for service in services:
        if service not in known:
            raise NoSuchService(service, nearest(service, known))


def _by_name(container: ContainerInspect) -> str:
    return container.get("Name", "")

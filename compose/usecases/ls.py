"""List the projects that the engine has containers of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from compose.reconcile import labels
from compose.usecases import containers

if TYPE_CHECKING:
    from runtime.client.client import Client
    from runtime.wire.containers import ContainerInspect


class ProjectSummary(NamedTuple):
    """A row of `ls`."""

    name: str
    status: str
    """`exited(1), running(2)`."""
    config_files: str


def list_projects(client: Client, *, all: bool = False) -> list[ProjectSummary]:
    """Projects by name: those with a running container, or all."""
    groups: dict[str, list[ContainerInspect]] = {}
    for container in client.containers(all=all):
        found = containers.labels_of(container)
        if labels.PROJECT in found and labels.CONFIG_HASH in found:
            groups.setdefault(found[labels.PROJECT], []).append(container)
    return [ProjectSummary(name, _status(group), _files(group)) for name, group in sorted(groups.items())]


def _status(group: list[ContainerInspect]) -> str:
    counts: dict[str, int] = {}
    for container in group:
        status = containers.status_of(container)
        counts[status] = counts.get(status, 0) + 1
    return ", ".join(f"{status}({count})" for status, count in sorted(counts.items()))


def _files(group: list[ContainerInspect]) -> str:
    files: dict[str, None] = {}
    for container in group:
        said = containers.labels_of(container).get(labels.CONFIG_FILES)
        if said is None:
            return "N/A"
        files.update(dict.fromkeys(said.split(",")))
    return ",".join(files)

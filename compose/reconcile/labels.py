"""Name the labels by which Docker Compose knows its own again, and write their exact sets.

Labels are the only memory between two commands: everything a later command must know of an object stands in them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.service import ServiceDependency

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from compose.model.project import Project
    from compose.model.service import ServiceConfig

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
VERSION = "com.docker.compose.version"
ONEOFF = "com.docker.compose.oneoff"
NUMBER = "com.docker.compose.container-number"
CONFIG_HASH = "com.docker.compose.config-hash"
IMAGE = "com.docker.compose.image"
DEPENDS_ON = "com.docker.compose.depends_on"
WORKING_DIR = "com.docker.compose.project.working_dir"
CONFIG_FILES = "com.docker.compose.project.config_files"
ENVIRONMENT_FILE = "com.docker.compose.project.environment_file"
REPLACE = "com.docker.compose.replace"
SLUG = "com.docker.compose.slug"
NETWORK = "com.docker.compose.network"
VOLUME = "com.docker.compose.volume"

COMPOSE_VERSION = "2.40.3"
"""The release of Docker Compose whose labels and behaviour these are."""


def base_labels(project: Project, service: str, *, env_files: Iterable[str] = ()) -> dict[str, str]:
    """What every container of a service carries, whichever command made it."""
    found = {
        PROJECT: project.name,
        SERVICE: service,
        VERSION: COMPOSE_VERSION,
        WORKING_DIR: project.working_dir,
        CONFIG_FILES: ",".join(project.compose_files),
        ONEOFF: "False",
    }
    joined = ",".join(env_files)
    return {**found, ENVIRONMENT_FILE: joined} if joined else found


def depends_on_text(service: ServiceConfig) -> str:
    """`db:service_healthy:false,cache:service_started:true`: name, condition, restart."""
    return ",".join(
        f"{name}:{edge.condition}:{'true' if edge.restart else 'false'}"
        for name, edge in sorted(service.depends_on.items())
    )


def parse_depends_on(text: str) -> dict[str, ServiceDependency]:
    """The dependencies in a label; none is required, because what they name may be gone."""
    found: dict[str, ServiceDependency] = {}
    for part in filter(None, text.split(",")):
        name, _, rest = part.partition(":")
        condition, _, restart = rest.partition(":")
        found[name] = ServiceDependency(
            condition=condition or "service_started", restart=restart != "false", required=False
        )
    return found


def network_labels(project: str, key: str, config_hash: str, said: Mapping[str, str]) -> dict[str, str]:
    """All labels of a network of the project."""
    return {**said, NETWORK: key, PROJECT: project, VERSION: COMPOSE_VERSION, CONFIG_HASH: config_hash}


def volume_labels(project: str, key: str, config_hash: str, said: Mapping[str, str]) -> dict[str, str]:
    """All labels of a volume of the project."""
    return {**said, VOLUME: key, PROJECT: project, VERSION: COMPOSE_VERSION, CONFIG_HASH: config_hash}


def number(labels: Mapping[str, str]) -> int:
    """The container's number within its service; 0 if it has none."""
    text = labels.get(NUMBER, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def is_one_off(labels: Mapping[str, str]) -> bool:
    """Whether `run` made the container."""
    return labels.get(ONEOFF) == "True"


def service_selector(project: str, service: str) -> dict[str, str]:
    """Labels that exactly the standing containers of a service carry."""
    return {PROJECT: project, SERVICE: service, ONEOFF: "False"}

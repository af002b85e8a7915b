"""Name what a service becomes: its containers and its image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose.model.project import Project
    from compose.model.service import ServiceConfig


def container_name(project: Project, service: ServiceConfig, number: int) -> str:
    """`container_name`, else `<project>-<service>-<number>`."""
    return service.container_name or project.separator.join((project.name, service.name, str(number)))


def image_name(project: Project, service: ServiceConfig) -> str:
    """`image`, else the name a built image gets: `<project>-<service>`."""
    return service.image or project.separator.join((project.name, service.name))

"""Tell what a service asks for and will not get, so that nothing is left out in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.model.project import Project
    from compose.model.service import ServiceConfig

UNSUPPORTED = (
    "cpu_count",
    "cpu_percent",
    "credential_spec",
    "isolation",
    "pre_start",
    "use_api_socket",
    "volume_driver",
)
"""Attributes for other systems, of another engine, or not built yet."""


LOG_DRIVERS = frozenset({"", "json-file", "local", "none"})
"""What the engine writes logs as."""
_SAYS_NOTHING = (None, "", 0, False, (), "default")


def ignored(project: Project) -> Iterator[str]:
    """One warning for each thing that has no effect."""
    for name, service in project.services.items():
        for attribute in UNSUPPORTED:
            if getattr(service, attribute) not in _SAYS_NOTHING:
                yield f"services.{name}.{attribute} is not supported and has no effect"
        driver = service.logging.driver if service.logging is not None else ""
        if driver not in LOG_DRIVERS:
            yield f"services.{name}.logging.driver {driver} is not supported, the log is kept as json-file"
        if service.ports and service.network_mode == "host":
            yield f"services.{name}.ports have no effect with the host's network: the service listens there itself"
        for mount in service.volumes:
            if mount.bind is not None and mount.bind.propagation in ("shared", "rshared"):
                yield (
                    f"services.{name}.volumes: mounts made below {mount.target} in the container do not reach the host, "
                    "only the other way round"
                )
        yield from _file_owners(project, service)


def _file_owners(project: Project, service: ServiceConfig) -> Iterator[str]:
    for kind, references, defined in (
        ("secrets", service.secrets, project.secrets),
        ("configs", service.configs, project.configs),
    ):
        for said in references:
            source = defined.get(said.source)
            if source is not None and source.file and (said.uid or said.gid or said.mode is not None):
                yield (
                    f"services.{service.name}.{kind}.{said.source}: uid, gid and mode have no effect on a file of the "
                    "host, which is mounted as it is"
                )

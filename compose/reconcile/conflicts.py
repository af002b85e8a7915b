"""Find what contradicts itself within a project before anything is created: host ports, container names, addresses.

Containers of one service share a host port, those of two services cannot. A service that others wait for to complete
may hand its port on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ConsistencyError, Problem
from compose.model.record import Record
from compose.reconcile.instance import container_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.model.project import Project
    from compose.model.service import ServiceConfig

ANY = ("", "0.0.0.0", "::")


class Publication(Record):
    """One fixed host port and where it is said."""

    service: str
    path: str
    host_ip: str
    port: str
    protocol: str
    target: int

    def __str__(self) -> str:
        address = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{address or '0.0.0.0'}:{self.port}/{self.protocol}"


def check_conflicts(project: Project) -> None:
    """Raise ConsistencyError with everything that `conflicts` finds."""
    problems = conflicts(project)
    if problems:
        raise ConsistencyError(problems)


def conflicts(project: Project) -> list[Problem]:
    """All contradictions among the enabled services, with their places."""
    return [*_scaled_names(project), *_same_names(project), *_same_ports(project), *_same_addresses(project)]


def _problem(project: Project, path: str, message: str, *related: str) -> Problem:
    marks = tuple(mark for other in related if (mark := project.mark(other)) is not None)
    return Problem(message, path, project.mark(path), related=marks)


def _scaled_names(project: Project) -> Iterator[Problem]:
    for name, service in project.services.items():
        if service.container_name and service.replicas > 1:
            yield _problem(
                project,
                f"services.{name}.container_name",
                f'the "{name}" service is using the custom container name "{service.container_name}", and each '
                "container needs a unique name; remove the custom name to scale the service",
            )


def _same_names(project: Project) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    for name, service in project.services.items():
        if not service.container_name:
            taken.update((container_name(project.name, service, one), name) for one in range(1, service.replicas + 1))
    for name, service in project.services.items():
        if not service.container_name or not service.replicas:
            continue
        holder = taken.setdefault(service.container_name, name)
        if holder != name:
            yield _problem(
                project,
                f"services.{name}.container_name",
                f'container name "{service.container_name}" is already in use by service {holder}',
                f"services.{holder}.container_name",
            )


def _same_ports(project: Project) -> Iterator[Problem]:
    passing = _passing(project)
    by_port: dict[tuple[str, str], list[Publication]] = {}
    for name, service in project.services.items():
        if name in passing or not service.replicas or service.provider is not None:
            continue
        for publication in _publications(service):
            others = by_port.setdefault((publication.protocol, publication.port), [])
            clash = next((other for other in others if _clashes(publication, other)), None)
            if clash is not None:
                yield _problem(
                    project,
                    publication.path,
                    f"host port {publication} is already published by service {clash.service}",
                    clash.path,
                )
            others.append(publication)


def _passing(project: Project) -> frozenset[str]:
    """Services that have ended before what waits for them starts."""
    return frozenset(
        target
        for service in project.services.values()
        for target, edge in service.depends_on.items()
        if edge.condition == "service_completed_successfully"
    )


def _publications(service: ServiceConfig) -> Iterator[Publication]:
    if service.network_mode == "host":
        return
    for position, port in enumerate(service.ports):
        if port.published.isdigit() and port.published != "0":
            path = f"services.{service.name}.ports[{position}]"
            yield Publication(
                service=service.name,
                path=path,
                host_ip=port.host_ip,
                port=port.published,
                protocol=port.protocol or "tcp",
                target=port.target,
            )


def _clashes(one: Publication, other: Publication) -> bool:
    if one.service == other.service and one.target == other.target:
        return False
    return one.host_ip == other.host_ip or (_overlap(one.host_ip, other.host_ip))


def _overlap(one: str, other: str) -> bool:
    if one in ANY and other in ANY:
        return "" in (one, other)
    if one not in ANY and other not in ANY:
        return one == other
    wildcard, address = (one, other) if one in ANY else (other, one)
    return wildcard == "" or (":" in wildcard) == (":" in address)


def _same_addresses(project: Project) -> Iterator[Problem]:
    taken: dict[tuple[str, str], tuple[str, str]] = {}
    for name, service in project.services.items():
        for key, attached in service.networks.items():
            for attribute in ("ipv4_address", "ipv6_address"):
                said = getattr(attached, attribute) if attached is not None else ""
                if not said or not service.replicas:
                    continue
                path = f"services.{name}.networks.{key}.{attribute}"
                if service.replicas > 1:
                    yield _problem(project, path, f"address {said} cannot be shared by {service.replicas} containers")
                holder, where = taken.setdefault((key, _canonical(said)), (name, path))
                if holder != name:
                    message = f"address {said} on network {key} is already in use by service {holder}"
                    yield _problem(project, path, message, where)


def _canonical(address: str) -> str:
    from ipaddress import ip_address

    try:
        return str(ip_address(address))
    except ValueError:
        return address

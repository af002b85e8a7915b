"""Find services that cannot run at the same time: one host port, one container name, one fixed address for two of them.

The loader asks about the files as they are, the planner about what a command scales them to. Containers of one service
share a host port, those of two services cannot; a service that others wait for to complete hands its port on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import Problem
from compose.model.naming import container_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compose.model.network import PortConfig
    from compose.model.project import Project
    from compose.model.service import ServiceConfig

WILDCARDS = ("", "0.0.0.0", "::")
ANOTHER_PORT = "another published port or host_ip"


def conflicts(project: Project) -> list[Problem]:
    """All conflicts between the enabled services, with both places."""
    return [*_same_names(project), *_same_ports(project), *_same_addresses(project)]


def scaled_names(project: Project) -> list[Problem]:
    """Services with a name of their own that shall have several containers."""
    return [
        _problem(
            project,
            f"services.{name}.container_name",
            f'the "{name}" service is using the custom container name "{service.container_name}", and each '
            "container needs a unique name; remove the custom name to scale the service",
        )
        for name, service in project.services.items()
        if service.container_name and service.replicas > 1
    ]


def _problem(project: Project, path: str, message: str, *related: str, expected: str = "") -> Problem:
    marks = tuple(mark for other in related if (mark := project.mark(other)) is not None)
    return Problem(message, path, project.mark(path), expected, related=marks)


def _same_names(project: Project) -> Iterator[Problem]:
    taken: dict[str, str] = {}
    counted = {
        container_name(project, service, 1)[:-1]: service
        for service in project.services.values()
        if not service.container_name
    }
    for name, service in project.services.items():
        if not service.container_name or not service.replicas:
            continue
        holder = _counted_holder(service.container_name, counted) or taken.setdefault(service.container_name, name)
        if holder != name:
            yield _problem(
                project,
                f"services.{name}.container_name",
                f'container name "{service.container_name}" is already in use by service {holder}',
                f"services.{holder}.container_name",
            )


def _counted_holder(name: str, counted: dict[str, ServiceConfig]) -> str:
    """The service one of whose numbered containers has the name; there may be more of them than can be listed."""
    stem = name.rstrip("0123456789")
    service, number = counted.get(stem), name[len(stem) :]
    if service is None or not number or number[0] == "0":
        return ""
    return service.name if len(number) < 20 and int(number) <= service.replicas else ""


def _same_ports(project: Project) -> Iterator[Problem]:
    taken: dict[tuple[str, str], list[tuple[ServiceConfig, PortConfig, str]]] = {}
    ended = _completing(project)
    for name, service in project.services.items():
        if name in ended or not service.replicas or service.provider is not None or _shares_network(service):
            continue
        for position, port in enumerate(service.ports):
            if not port.published.isdigit() or port.published == "0":
                continue  # the engine finds a free one
            path = f"services.{name}.ports[{position}]"
            others = taken.setdefault((port.published, port.protocol or "tcp"), [])
            for other, other_port, other_path in others:
                same = other is service and other_port.target == port.target
                if not same and _same_address(port.host_ip, other_port.host_ip):
                    yield _port_taken(project, port, path, other.name, other_path)
                    break
            others.append((service, port, path))


def _completing(project: Project) -> frozenset[str]:
    """Services that have ended before what waits for them starts."""
    return frozenset(
        target
        for service in project.services.values()
        for target, edge in service.depends_on.items()
        if edge.condition == "service_completed_successfully"
    )


def _shares_network(service: ServiceConfig) -> bool:
    return service.network_mode == "host" or service.network_mode.startswith(("service:", "container:"))


def _same_address(one: str, other: str) -> bool:
    """Whether two host addresses cannot both be bound: without one, all of both families are meant."""
    if one == other or "" in (one, other):
        return True
    return (":" in one) == (":" in other) and (one in WILDCARDS or other in WILDCARDS)


def _port_taken(project: Project, port: PortConfig, path: str, holder: str, holder_path: str) -> Problem:
    where = project.mark(holder_path)
    line = f" (line {where.line})" if where is not None else ""
    return _problem(
        project,
        path,
        f"port is already allocated: {port.published}/{port.protocol or 'tcp'} of the host is also published by"
        f' service "{holder}"{line}',
        holder_path,
        expected=ANOTHER_PORT,
    )


def _same_addresses(project: Project) -> Iterator[Problem]:
    taken: dict[tuple[str, str], tuple[str, str]] = {}
    for name, service in project.services.items():
        for network, attached in service.networks.items():
            for attribute in ("ipv4_address", "ipv6_address"):
                said = getattr(attached, attribute) if attached is not None else ""
                address = _canonical(said)
                if not address or not service.replicas:
                    continue
                path = f"services.{name}.networks.{network}.{attribute}"
                holder, where = taken.setdefault((network, address), (name, path))
                if holder != name:
                    message = f'Address already in use: {address} is also given to service "{holder}"'
                    yield _problem(project, path, message, where)
                elif service.replicas > 1:
                    message = f"Address already in use: {address} is fixed, but the service has replicas"
                    yield _problem(project, path, message)


def _canonical(address: str) -> str:
    """One spelling for each address; empty for none and for what is no address, of which the loader tells."""
    from ipaddress import ip_address

    try:
        return str(ip_address(address)) if address else ""
    except ValueError:
        return ""

"""Refuses, before anything is created, what the engine would refuse half way: both places are named.

Each rule is about facts of the files alone. Faults are of one service by itself; conflicts are between what is to run at
the same time, so they are only looked for among the services that a command is about to create.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from compose.loader.checks import Checks
from compose.loader.report import Report
from compose.model.capabilities import CAPABILITIES
from compose.model.project import nearest

if TYPE_CHECKING:
    from compose.loader.tree import Path
    from compose.model.network import NetworkConfig, PortConfig
    from compose.model.project import Project
    from compose.model.service import ServiceConfig

_RESTART = re.compile(r"(no|always|unless-stopped|on-failure(:\d+)?)?\Z")
_RESTARTS = ("no", "always", "unless-stopped", "on-failure")
_SYSCTL = re.compile(
    r"(net[./].+|fs[./]mqueue[./].+|kernel[./](msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced"
    r"|domainname|hostname))\Z"
)
_WILDCARD = ("", "0.0.0.0", "::")
_DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:(?:{_DOMAIN}(?:\.{_DOMAIN})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?/)?{_COMPONENT}(?:/{_COMPONENT})*"
    r"(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\Z",
    re.ASCII,
)
_BLANK = re.compile(r"(^|[:@/])([:@/]|$)")


def find_faults(checks: Checks) -> None:
    """Report every value of a service that the engine would refuse."""
    for service in checks.project.services.values():
        _restart(checks, service)
        _capabilities(checks, service)
        _sysctls(checks, service)
        _devices(checks, service)
        _image(checks, service)
        _targets(checks, service)


def refuse_conflicts(project: Project) -> None:
    """Raise ConsistencyError with every fault of the enabled services and every conflict between them."""
    report = Report()
    checks = Checks(project, report)
    find_faults(checks)
    find_conflicts(checks)
    report.raise_if_any()


def find_conflicts(checks: Checks) -> None:
    """Report every conflict between the enabled services and in the networks they use."""
    services = list(checks.project.services.values())
    _ports(checks, services)
    _names(checks, services)
    addressed = any(attached and (attached.ipv4_address or attached.ipv6_address)
                    for service in services for attached in service.networks.values())  # fmt: skip
    if addressed or any(network.ipam.config for network in checks.project.networks.values()):
        from compose.loader.addresses import check_addresses

        check_addresses(checks, services)


def _restart(checks: Checks, service: ServiceConfig) -> None:
    if _RESTART.match(service.restart):
        return
    checks.fail(
        f"invalid restart policy: unknown policy '{service.restart}'; use one of 'no', 'always', 'on-failure', or"
        " 'unless-stopped'",
        ("services", service.name, "restart"),
        suggestion=nearest(service.restart, _RESTARTS),
    )


def _capabilities(checks: Checks, service: ServiceConfig) -> None:
    for attribute, names in (("cap_add", service.cap_add), ("cap_drop", service.cap_drop)):
        for index, name in enumerate(names):
            bare = name.upper().removeprefix("CAP_")
            if bare != "ALL" and bare not in CAPABILITIES:
                checks.fail(
                    f'invalid capability: unknown capability "CAP_{bare}"',
                    ("services", service.name, attribute, index),
                    suggestion=nearest(bare, CAPABILITIES),
                )


def _sysctls(checks: Checks, service: ServiceConfig) -> None:
    for name in service.sysctls:
        if not _SYSCTL.match(name):
            checks.fail(
                f'sysctl "{name}" is not in a separate kernel namespace',
                ("services", service.name, "sysctls", name),
                expected="net.*, fs.mqueue.*, or kernel.msg*, kernel.sem, kernel.shm*",
            )


def _devices(checks: Checks, service: ServiceConfig) -> None:
    for index, device in enumerate(service.devices):
        if device.permissions and set(device.permissions) - set("rwm"):
            checks.fail(
                f'invalid device mode "{device.permissions}" of {device.source}',
                ("services", service.name, "devices", index),
                expected="some of r, w and m",
            )


def _image(checks: Checks, service: ServiceConfig) -> None:
    image = service.image
    # an empty part comes from a variable that is not set: that was warned of, and only a pull makes it an error
    if not image or _BLANK.search(image) or _IMAGE.match(image) or re.fullmatch(r"[0-9a-f]{64}", image):
        return
    path: Path = ("services", service.name, "image")
    if _IMAGE.match(image.lower()):
        checks.fail(
            f"invalid reference format: repository name ({image.split(':')[0]}) must be lowercase",
            path,
            suggestion=image.lower(),
        )
        return
    checks.fail(f'invalid reference format: "{image}"', path, expected="[registry/]name[:tag][@digest]")


def _targets(checks: Checks, service: ServiceConfig) -> None:
    for index, volume in enumerate(service.volumes):
        path: Path = ("services", service.name, "volumes", index)
        if not volume.target.startswith("/") and not re.match(r"[a-zA-Z]:", volume.target):
            text = f"invalid mount path: '{volume.target}' mount path must be absolute"
            checks.fail(text, path, expected="an absolute path in the container")
        elif volume.target == "/":
            checks.fail("invalid volume specification: destination can't be '/'", path)


def _ports(checks: Checks, services: list[ServiceConfig]) -> None:
    """Containers of one service share a host port; one that others wait for to complete hands its port on."""
    ended = {
        target
        for service in services
        for target, edge in service.depends_on.items()
        if edge.condition == "service_completed_successfully"
    }
    taken: dict[tuple[str, str], list[tuple[PortConfig, ServiceConfig, Path]]] = {}
    for service in services:
        shared = service.network_mode == "host" or service.network_mode.startswith(("service:", "container:"))
        if shared or service.name in ended or not service.replicas or service.provider is not None:
            continue
        for index, port in enumerate(service.ports):
            if not port.published or "-" in port.published or port.published == "0":
                continue
            path: Path = ("services", service.name, "ports", index)
            for other_port, other, other_path in taken.setdefault((port.published, port.protocol), []):
                same = other is service and other_port.target == port.target
                if not same and _same_address(port.host_ip, other_port.host_ip):
                    _taken(checks, port, (service, path), (other, other_path))
                    break
            taken[port.published, port.protocol].append((port, service, path))


def _same_address(one: str, other: str) -> bool:
    """Whether two host addresses cannot both be bound: without one, all of both families are meant."""
    if one == other or "" in (one, other):
        return True
    return (":" in one) == (":" in other) and (one in _WILDCARD or other in _WILDCARD)


def _taken(
    checks: Checks, port: PortConfig, mine: tuple[ServiceConfig, Path], theirs: tuple[ServiceConfig, Path]
) -> None:
    where = checks.mark(theirs[1])
    line = f" (line {where.line})" if where is not None else ""
    checks.fail(
        f"port is already allocated: {port.published}/{port.protocol or 'tcp'} of the host is also published by"
        f' service "{theirs[0].name}"{line}',
        mine[1],
        expected="another published port or host_ip",
        related=(where,),
    )


def _names(checks: Checks, services: list[ServiceConfig]) -> None:
    taken: dict[str, ServiceConfig] = {}
    for service in services:
        name = service.container_name
        if not name:
            continue
        path: Path = ("services", service.name, "container_name")
        if not re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", name):
            checks.fail(
                f"'{name}' does not match pattern '[a-zA-Z0-9][a-zA-Z0-9_.-]+'",
                path,
                expected="two or more letters, digits, underscores, dots and hyphens",
            )
        elif name in taken:
            other = taken[name].name
            checks.fail(
                f'container name "{name}" is already in use by service {other}',
                path,
                related=(checks.mark(("services", other, "container_name")),),
            )
        taken.setdefault(name, service)


def used_networks(checks: Checks, services: list[ServiceConfig]) -> dict[str, NetworkConfig]:
    """The networks of the project that an enabled service joins."""
    joined: set[str] = set()
    for service in services:
        joined.update(service.networks)
    return {name: network for name, network in checks.project.networks.items() if name in joined}

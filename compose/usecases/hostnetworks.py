"""Find subnets of a project that the host, or somebody else's network, already has: a route there would be shadowed.

Docker finds out while it creates networks, or never. What the host has says the kernel's routing table; whether a
bridge in it is this project's own says the engine, if it runs (without it there are no bridges of ours).
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compose.model.project import Project

    Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

ROUTES, ROUTES_6 = "/proc/net/route", "/proc/net/ipv6_route"
PROJECT_LABEL, NETWORK_LABEL = "com.docker.compose.project", "com.docker.compose.network"


class Declared(NamedTuple):
    """A subnet as the files declare it."""

    subnet: Subnet
    network: str
    path: str


class Holder(NamedTuple):
    """Who has a subnet: a device of the host or a network of the engine."""

    subnet: Subnet
    name: str
    project: str = ""
    network: str = ""


def declares_subnets(project: Project) -> bool:
    """Whether there is anything to look for."""
    return any(network.ipam.config and not network.external for network in project.networks.values())


def overlaps(project: Project, environ: Mapping[str, str]) -> list[Problem]:
    """A problem for each declared subnet of a used network that somebody else has."""
    used = {name for service in project.services.values() for name in service.networks}
    declared = [one for one in _declared(project) if one.network in used]
    if not declared:
        return []
    routes = list(host_routes())
    if not any(_meet(one.subnet, route.subnet) for one in declared for route in routes):
        return []
    networks = _engine_networks(environ)
    return list(judge(project, declared, networks, routes))


def judge(
    project: Project, declared: list[Declared], networks: list[Holder], routes: list[Holder]
) -> Iterator[Problem]:
    """What is wrong, given what the engine and the host have."""
    for one in declared:
        met = [holder for holder in networks if _meet(one.subnet, holder.subnet)]
        own = [holder for holder in met if (holder.project, holder.network) == (project.name, one.network)]
        others = [holder for holder in met if holder not in own]
        if not met:
            others = [route for route in routes if _meet(one.subnet, route.subnet)]
        if others:
            yield Problem(
                f"invalid pool request: Pool overlaps with other one on this address space: {one.subnet} overlaps with"
                f" {others[0].name} ({others[0].subnet})",
                one.path,
                project.mark(one.path),
                expected="another subnet",
            )


def host_routes(routes: str = ROUTES, routes_6: str = ROUTES_6) -> Iterator[Holder]:
    """The subnets the host reaches by a device, but for defaults, loopback, link-local and multicast ones."""
    for fields in _lines(routes)[1:]:
        address, mask = (struct.pack("<I", int(fields[at], 16)) for at in (1, 7))
        yield from _route(f"{ipaddress.IPv4Address(address)}/{ipaddress.IPv4Address(mask)}", fields[0])
    for fields in _lines(routes_6):
        address = bytes.fromhex(fields[0])
        yield from _route(f"{ipaddress.IPv6Address(address)}/{int(fields[1], 16)}", fields[9])


def _route(text: str, device: str) -> Iterator[Holder]:
    subnet = ipaddress.ip_network(text, strict=False)
    special = subnet.is_link_local or subnet.is_multicast or subnet.is_loopback
    if subnet.prefixlen and not special and device != "lo":
        yield Holder(subnet, f"device {device} of the host")


def _lines(path: str) -> list[list[str]]:
    try:
        with open(path, encoding="ascii") as file:
            return [line.split() for line in file]
    except OSError:
        return []


def _declared(project: Project) -> Iterator[Declared]:
    for name, network in project.networks.items():
        if network.external:
            continue
        for index, pool in enumerate(network.ipam.config):
            try:
                subnet = ipaddress.ip_network(pool.subnet, strict=False)
            except ValueError:
                continue  # none, or none at all: the loader says so
            yield Declared(subnet, name, f"networks.{name}.ipam.config[{index}].subnet")


def _engine_networks(environ: Mapping[str, str]) -> list[Holder]:
    """The networks of a running engine; it is not started for the question."""
    from runtime.client import autostart
    from runtime.errors import EngineError

    try:
        client = autostart.connect(environ, start=False)
        try:
            found: list[Any] = client.snapshot("")["Networks"]
        finally:
            client.close()
    except EngineError:
        return []
    holders: list[Holder] = []
    for network in found:
        labels = network.get("Labels") or {}
        for pool in (network.get("IPAM") or {}).get("Config") or ():
            subnet = ipaddress.ip_network(pool["Subnet"], strict=False)
            name = f"network {network['Name']}"
            holders.append(Holder(subnet, name, labels.get(PROJECT_LABEL, ""), labels.get(NETWORK_LABEL, "")))
    return holders


def _meet(one: Subnet, other: Subnet) -> bool:
    return one.version == other.version and one.overlaps(other)

"""Checks subnets, gateways and fixed addresses of a project against each other."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compose.loader.examination import Checks
    from compose.loader.tree import Path
    from compose.model.network import IPAMPool, NetworkConfig
    from compose.model.service import ServiceConfig

    Network = ipaddress.IPv4Network | ipaddress.IPv6Network
    Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def check_addresses(checks: Checks, services: list[ServiceConfig]) -> None:
    """Report invalid or overlapping subnets and addresses that are outside of them."""
    subnets: dict[str, list[Network]] = {}
    all_subnets: list[tuple[Network, Path]] = []
    for name, network in _used_networks(checks, services).items():
        if network.external:
            continue
        subnets[name] = []
        for index, pool in enumerate(network.ipam.config):
            path: Path = ("networks", name, "ipam", "config", index)
            subnet = _subnet(checks, pool, path)
            if subnet is None:
                continue
            _overlap(checks, subnet, path, all_subnets)
            all_subnets.append((subnet, path))
            subnets[name].append(subnet)
            _inside(checks, pool, subnet, path)
    _fixed(checks, services, subnets)


def _used_networks(checks: Checks, services: list[ServiceConfig]) -> dict[str, NetworkConfig]:
    """The networks of the project that an enabled service joins."""
    joined: set[str] = set()
    for service in services:
        joined.update(service.networks)
    return {name: network for name, network in checks.project.networks.items() if name in joined}


def _subnet(checks: Checks, pool: IPAMPool, path: Path) -> Network | None:
    if not pool.subnet:
        return None
    try:
        return ipaddress.ip_network(pool.subnet, strict=False)
    except ValueError:
        checks.fail(
            f"invalid subnet {pool.subnet}: invalid CIDR block notation",
            (*path, "subnet"),
            unless_interpolated=True,
            expected="an address and a prefix length such as 172.28.0.0/16",
        )
        return None


def _overlap(checks: Checks, subnet: Network, path: Path, others: list[tuple[Network, Path]]) -> None:
    for other, other_path in others:
        if subnet.version == other.version and subnet.overlaps(other):
            checks.fail(
                f"invalid pool request: Pool overlaps with other one on this address space: {subnet} and {other} of"
                f" network {other_path[1]}",
                (*path, "subnet"),
                related=(checks.mark((*other_path, "subnet")),),
            )
            return


def _inside(checks: Checks, pool: IPAMPool, subnet: Network, path: Path) -> None:
    named = [("gateway", pool.gateway)] if pool.gateway else []
    for key, text in named:
        _address_in(checks, text, subnet, (*path, key))
    for key, text in pool.aux_addresses.items():
        _address_in(checks, text, subnet, (*path, "aux_addresses", key))
    if not pool.ip_range:
        return
    try:
        part = ipaddress.ip_network(pool.ip_range, strict=False)
    except ValueError:
        checks.fail(
            f"invalid ip-range {pool.ip_range}: invalid CIDR block notation",
            (*path, "ip_range"),
            unless_interpolated=True,
        )
        return
    if part.version != subnet.version or not part.subnet_of(subnet):  # type: ignore[arg-type]
        checks.fail(
            f"parent subnet {subnet} doesn't contain ip-range {pool.ip_range}",
            (*path, "ip_range"),
            related=(checks.mark((*path, "subnet")),),
        )


def _address_in(checks: Checks, text: str, subnet: Network, path: Path) -> None:
    address = _address(checks, text.partition("/")[0], path)
    if address is not None and address not in subnet:
        checks.fail(
            f"parent subnet {subnet} doesn't contain this address {address}",
            path,
            related=(checks.mark((*path[:5], "subnet")),),
        )


def _address(checks: Checks, text: str, path: Path) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        checks.fail(f"invalid ip address: {text}", path, expected="an IPv4 or IPv6 address", unless_interpolated=True)
        return None


def _fixed(checks: Checks, services: list[ServiceConfig], subnets: dict[str, list[Network]]) -> None:
    for service in services:
        for name, attached in service.networks.items():
            for key in ("ipv4_address", "ipv6_address"):
                text = getattr(attached, key) if attached is not None else ""
                if not text:
                    continue
                path: Path = ("services", service.name, "networks", name, key)
                address = _address(checks, text, path)
                if address is None:
                    continue
                _in_network(checks, address, name, path, subnets.get(name))


def _in_network(checks: Checks, address: Address, name: str, path: Path, subnets: list[Network] | None) -> None:
    if subnets is None:  # an external network, or one that is not defined
        return
    fitting = [subnet for subnet in subnets if subnet.version == address.version]
    where = (checks.mark(("networks", name)),)
    if not fitting:
        checks.fail(
            "user specified IP address is supported only when connecting to networks with user configured subnets",
            path,
            expected=f"a subnet under networks.{name}.ipam.config",
            related=where,
        )
    elif not any(address in subnet for subnet in fitting):
        checks.fail(
            f"no configured subnet or ip-range contain the IP address {address}",
            path,
            expected=f"an address of {' or '.join(map(str, fitting))}",
            related=where,
        )

"""Choose and check subnets, hand out addresses. Pure: who owns what and which routes the host has is passed in.

Default pools are cut into /20s: 256 networks of 4093 addresses. They begin in the middle of 172.16.0.0/12, since Docker
on the same host fills it from 172.17 upwards and clouds like 172.31.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import Conflict, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_POOLS = (
    *(f"172.{n}.0.0/16" for n in (*range(24, 31), *range(18, 24), 17, 31)),
    "192.168.0.0/16",
)
DEFAULT_PREFIX = 20
IPV6_PREFIX = 64


@dataclass(frozen=True, kw_only=True)
class Taken:
    """A subnet that is in use, and by whom, for messages: `network app_default`, `route of eth1`."""

    subnet: Subnet
    holder: str


@dataclass(frozen=True, kw_only=True)
class Pool:
    """A checked subnet of a network: where addresses come from, and which are given away already."""

    subnet: Subnet
    ip_range: Subnet
    gateway: Address
    auxiliary: tuple[tuple[str, Address], ...] = ()

    def to_wire(self) -> dict[str, object]:
        """One entry of Docker's `IPAM.Config`."""
        entry: dict[str, object] = {"Subnet": str(self.subnet), "Gateway": str(self.gateway)}
        if self.ip_range != self.subnet:
            entry["IPRange"] = str(self.ip_range)
        if self.auxiliary:
            entry["AuxiliaryAddresses"] = {name: str(address) for name, address in self.auxiliary}
        return entry


def host_routes(routes: Iterable[tuple[str, str]], nameservers: Iterable[str] = ()) -> list[Taken]:
    """What the host uses, from (`address/prefix`, interface name) of its routes and from its DNS servers."""
    taken = []
    for destination, device in routes:
        subnet = ipaddress.ip_network(destination, strict=False)
        if subnet.prefixlen and not (subnet.is_link_local or subnet.is_multicast or subnet.is_loopback):
            taken.append(Taken(subnet=subnet, holder=f"the host's route {subnet} on {device}"))
    for server in nameservers:
        address = _maybe_address(server)
        if address is not None and not address.is_loopback:
            taken.append(Taken(subnet=ipaddress.ip_network(address), holder=f"the host's DNS server {server}"))
    return taken


def default_pool(taken: Iterable[Taken], pools: Sequence[str] = DEFAULT_POOLS, prefix: int = DEFAULT_PREFIX) -> Pool:
    """The first free subnet of the default pools; raises Conflict when there is none."""
    used = [item.subnet for item in taken if item.subnet.version == 4]
    for base in pools:
        for subnet in ipaddress.IPv4Network(base).subnets(new_prefix=prefix):
            if not any(subnet.overlaps(other) for other in used if isinstance(other, ipaddress.IPv4Network)):
                return Pool(subnet=subnet, ip_range=subnet, gateway=subnet[1])
    raise Conflict("address pools: all predefined address pools have been fully subnetted")


def default_ipv6_pool(taken: Iterable[Taken], engine_id: str) -> Pool:
    """The first free /64 of the engine's own unique local /48 (RFC 4193)."""
    used = {item.subnet for item in taken if item.subnet.version == 6}
    digits = "".join(c for c in engine_id.lower() if c in "0123456789abcdef").ljust(10, "0")[:10]
    base = ipaddress.IPv6Network((int(f"fd{digits}", 16) << 80, 48))
    for subnet in base.subnets(new_prefix=IPV6_PREFIX):
        if not any(subnet.overlaps(other) for other in used if isinstance(other, ipaddress.IPv6Network)):
            return Pool(subnet=subnet, ip_range=subnet, gateway=subnet[1])
    raise Conflict(f"address pools: {base} is fully subnetted")


def user_pool(config: Mapping[str, object], taken: Iterable[Taken], network: str, *, internal: bool = False) -> Pool:
    """Check one entry of `IPAM.Config` (Subnet, Gateway?, IPRange?, AuxiliaryAddresses?) of network `network`.

    Raises InvalidParameter for what is wrong in itself, Conflict, naming the holder, for what is taken.
    """
    subnet = _subnet(str(config.get("Subnet") or ""), f"network {network}: subnet")
    if subnet.num_addresses < 4 and not (internal and subnet.num_addresses == 2):
        raise InvalidParameter(f"network {network}: subnet {subnet} is too small, a network needs at least 4 addresses")
    if subnet.is_loopback or subnet.is_multicast or subnet.is_unspecified:
        raise InvalidParameter(f"network {network}: subnet {subnet} is reserved")
    for item in taken:
        if subnet.version == item.subnet.version and _overlap(subnet, item.subnet):
            raise Conflict(f"network {network}: subnet {subnet} overlaps with {item.holder}", holder=item.holder)
    ip_range = subnet
    if config.get("IPRange"):
        ip_range = _subnet(str(config["IPRange"]), f"network {network}: ip_range")
        if ip_range.version != subnet.version or not _within(ip_range, subnet):
            raise InvalidParameter(f"network {network}: ip_range {ip_range} is not within subnet {subnet}")
    auxiliary = _auxiliary(config.get("AuxiliaryAddresses"), subnet, network)
    used = {address for _, address in auxiliary}
    if config.get("Gateway"):
        gateway = _member(str(config["Gateway"]).partition("/")[0], subnet, f"network {network}: gateway")
        if gateway in used:
            raise Conflict(f"network {network}: gateway {gateway} is also an auxiliary address")
    else:
        # Docker takes the first address of the range
        gateway = next((a for a in _usable(ip_range, subnet) if a not in used), subnet[1])
    return Pool(subnet=subnet, ip_range=ip_range, gateway=gateway, auxiliary=auxiliary)


def _auxiliary(value: object, subnet: Subnet, network: str) -> tuple[tuple[str, Address], ...]:
    if not isinstance(value, dict):
        return ()
    found: dict[Address, str] = {}
    for name, text in value.items():
        address = _member(str(text), subnet, f"network {network}: auxiliary address {name}")
        if address in found:
            raise Conflict(f"network {network}: auxiliary addresses {found[address]} and {name} are both {address}")
        found[address] = str(name)
    return tuple((name, address) for address, name in found.items())


class Allocator:
    """The addresses of one pool. The lowest free one comes first; the same requests give the same addresses."""

    def __init__(self, pool: Pool, network: str) -> None:
        self.pool = pool
        self._network = network
        self._holders: dict[Address, str] = {pool.gateway: "the gateway"}
        self._holders.update((address, f"auxiliary address {name}") for name, address in pool.auxiliary)
        self._first = int(pool.ip_range.network_address)
        self._last = int(pool.ip_range.broadcast_address)
        self._lowest = self._first

    def allocate(self, holder: str, requested: str = "") -> str:
        """Give `holder` the address it asks for, or the lowest free one.

        Raises InvalidParameter for an address outside of the subnet, Conflict, naming the holder, for a taken one or
        when none is left.
        """
        if requested:
            return str(self._reserve(requested, holder))
        kind = type(self.pool.subnet.network_address)
        for number in range(self._lowest, self._last + 1):
            address = kind(number)
            if address not in self._holders and _is_usable(address, self.pool.subnet):
                self._holders[address] = holder
                self._lowest = number + 1
                return str(address)
        self._lowest = self._last + 1
        raise Conflict(f"network {self._network}: no free address left in {self.pool.ip_range}")

    def _reserve(self, requested: str, holder: str) -> Address:
        address = _member(requested, self.pool.subnet, f"network {self._network}: address")
        other = self._holders.get(address)
        if other is not None and other != holder:
            raise Conflict(f"network {self._network}: address {address} is already in use by {other}", holder=other)
        self._holders[address] = holder
        return address

    def release(self, address: str) -> None:
        """Take an address back; one that is not given away counts as done. The gateway stays."""
        parsed = ipaddress.ip_address(address)
        if parsed == self.pool.gateway or self._holders.pop(parsed, None) is None:
            return
        if self._first <= int(parsed) < self._lowest:
            self._lowest = int(parsed)


def _subnet(text: str, what: str) -> Subnet:
    if "/" not in text:
        raise InvalidParameter(f"{what} {text!r} has no prefix length, such as 172.28.0.0/16")
    try:
        loose = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise InvalidParameter(f"{what} {text!r} is not a subnet in CIDR form, such as 172.28.0.0/16") from None
    if ipaddress.ip_address(text.partition("/")[0]) != loose.network_address:
        raise InvalidParameter(f"{what} {text} has host bits set, did you mean {loose}")
    return loose


def _member(text: str, subnet: Subnet, what: str) -> Address:
    address = _maybe_address(text)
    if address is None:
        raise InvalidParameter(f"{what} {text!r} is not an IP address")
    if address.version != subnet.version or address not in subnet:
        raise InvalidParameter(f"{what} {address} is not within subnet {subnet}")
    if not _is_usable(address, subnet):
        raise InvalidParameter(f"{what} {address} is the network's own or broadcast address of {subnet}")
    return address


def _maybe_address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _is_usable(address: Address, subnet: Subnet) -> bool:
    if address == subnet.network_address:
        return subnet.version == 4 and subnet.prefixlen == 31
    return not (subnet.version == 4 and address == subnet.broadcast_address and subnet.prefixlen < 31)


def _usable(ip_range: Subnet, subnet: Subnet) -> Iterator[Address]:
    kind = type(subnet.network_address)
    for number in range(int(ip_range.network_address), int(ip_range.broadcast_address) + 1):
        address = kind(number)
        if _is_usable(address, subnet):
            yield address


def _overlap(one: Subnet, other: Subnet) -> bool:
    return one.network_address <= other.broadcast_address and other.network_address <= one.broadcast_address  # type: ignore[operator]


def _within(inner: Subnet, outer: Subnet) -> bool:
    return outer.network_address <= inner.network_address and inner.broadcast_address <= outer.broadcast_address  # type: ignore[operator]

"""The firewall as nft text: a pure function of what should be, whole or as the difference to what is.

Rules are fixed; networks and published ports are elements of sets and maps, so that a change costs one element. Only a
port with several backends has a chain of its own, since the number of backends is a constant of its rule. A drop in any
table is final in netfilter, so neither foreign drops nor ours can be overridden, and our accepts bind nobody else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.network.naming import PREFIX, table_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FAMILIES = ("ip", "ip6")
_ADDRESS_TYPE = {"ip": "ipv4_addr", "ip6": "ipv6_addr"}
_ANY = {"ip": "0.0.0.0", "ip6": "::"}
_LOOPBACK = {"ip": "127.0.0.0/8", "ip6": "::1"}
_MULTICAST = {"ip": "{ 224.0.0.0/4, 255.255.255.255 }", "ip6": "{ fe80::/10, ff00::/8 }"}

OTHER_ENGINES = (f"{PREFIX}*", "docker0", "br-*", "podman*", "cni*", "virbr*", "lxcbr*", "lxdbr*")
"""Bridges of container and machine managers: their forwarding goes on when we have to refuse everybody else's."""


@dataclass(frozen=True, kw_only=True)
class BridgeRules:
    """What the firewall needs to know of a network. `subnets` in CIDR form, of both families.

    `masquerade`: traffic that leaves through another interface gets that one's address. `protected`: nothing from
    outside reaches the containers' own addresses except through published ports.
    """

    name: str
    subnets: tuple[str, ...]
    internal: bool = False
    masquerade: bool = True
    protected: bool = True


@dataclass(frozen=True, kw_only=True)
class PublishedPort:
    """A host address and port. `host_ip` is never empty: all addresses of a family are 0.0.0.0 or ::."""

    protocol: str
    host_ip: str
    host_port: int

    @property
    def family(self) -> str:
        return "ip6" if ":" in self.host_ip else "ip"


Backends = tuple[tuple[str, int], ...]
"""Healthy (address, port) pairs of the port's own family; connections are dealt out to them in turn."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What should be."""

    bridges: Mapping[str, BridgeRules] = field(default_factory=dict)
    ports: Mapping[PublishedPort, Backends] = field(default_factory=dict)
    refuse_foreign: bool = False
    """Drop forwarding that concerns no container network: the host did not forward before we turned it on."""

    def uses(self, family: str) -> bool:
        """Whether the family needs a table."""
        if family == "ip":
            return True
        return any(":" in subnet for bridge in self.bridges.values() for subnet in bridge.subnets) or any(
            port.family == family for port, backends in self.ports.items() if backends
        )


def render(engine_id: str, rules: Rules, family: str) -> str:
    """Commands that put the engine's table of one family in place, in one transaction, whatever was there before."""
    table = table_name(engine_id)
    lines = [f"add table {family} {table}", f"delete table {family} {table}", _skeleton(family, table, rules)]
    lines.extend(line for bridge in rules.bridges.values() for line in _bridge("add", family, table, bridge))
    lines.extend(line for port, backends in rules.ports.items() for line in _port_added(family, table, port, backends))
    return "\n".join(lines)


def remove(engine_id: str) -> str:
    """Commands that delete the engine's tables, whether or not they are there."""
    table = table_name(engine_id)
    return "\n".join(f"add table {family} {table}\ndelete table {family} {table}" for family in FAMILIES)


def difference(engine_id: str, old: Rules, new: Rules, family: str) -> str:
    """Commands that turn the family's table from `old` into `new`; empty when there is nothing to do."""
    table = table_name(engine_id)
    lines: list[str] = []
    for name in old.bridges.keys() | new.bridges.keys():
        before, after = old.bridges.get(name), new.bridges.get(name)
        if before == after:
            continue
        lines.extend(_bridge("delete", family, table, before) if before else ())
        lines.extend(_bridge("add", family, table, after) if after else ())
    for port in old.ports.keys() | new.ports.keys():
        had, has = old.ports.get(port, ()), new.ports.get(port, ())
        if had != has:
            lines.extend(_port_changed(family, table, port, had, has))
    return "\n".join(lines)


def _skeleton(family: str, table: str, rules: Rules) -> str:
    address = _ADDRESS_TYPE[family]
    daddr, saddr, loopback = f"{family} daddr", f"{family} saddr", _LOOPBACK[family]
    ip6 = family == "ip6"
    guard = (
        # route_localnet would let a neighbour or a container talk to the host's loopback
        f'iifname != "lo" {daddr} {loopback} drop',
        # containers are reached by published ports only; the bridge's own address is the host's affair
        f"{daddr} @protected fib daddr type != local iifname . {daddr} != @home drop",
        f"iifname @internal iifname . {daddr} != @home {daddr} != {_MULTICAST[family]} drop",
        # what rp_filter does for IPv4
        "iifname @bridges ip6 saddr != { ::, fe80::/10 } fib saddr . iif oif missing drop" if ip6 else "",
    )
    forward = (
        "iifname . oifname @same accept",
        "iifname @internal drop",
        "oifname @internal drop",
        "oifname @bridges ct state established,related accept",
        "oifname @bridges ct status dnat accept",
        "oifname @bridges iifname @bridges drop",
        f"oifname @bridges {daddr} @protected drop",
        *(_refuse_foreign() if rules.refuse_foreign else ()),
    )
    source = (
        "" if ip6 else f"oifname @bridges {saddr} {loopback} masquerade",
        # answers must come back through the host: to a client in the same network, and in another of ours
        f"oifname . {saddr} @home ct status dnat masquerade",
        f"oifname @bridges {saddr} @subnets oifname . {saddr} != @home masquerade",
        f"oifname != @bridges {saddr} @masqueraded masquerade",
    )
    publish = (
        f"{daddr} . meta l4proto . th dport vmap @groups",
        f"dnat {family} to {daddr} . meta l4proto . th dport map @ports",
        "meta l4proto . th dport vmap @any_groups",
        f"dnat {family} to meta l4proto . th dport map @any_ports",
    )
    # an IPv6 packet from ::1 cannot leave the host: the proxy serves ::1
    local = f"{daddr} != ::1 fib daddr type local jump publish" if ip6 else "fib daddr type local jump publish"
    chains = (
        ("publish", "", publish),
        ("guard", "type filter hook prerouting priority raw; policy accept;", guard),
        ("forward", "type filter hook forward priority filter; policy accept;", forward),
        (
            "prerouting",
            "type nat hook prerouting priority dstnat - 1; policy accept;",
            ("fib daddr type local jump publish",),
        ),
        ("output", "type nat hook output priority -101; policy accept;", (local,)),
        ("postrouting", "type nat hook postrouting priority srcnat - 1; policy accept;", source),
    )
    sets = (
        "set bridges { type ifname; }",
        "set internal { type ifname; }",
        "set same { type ifname . ifname; }",
        f"set home {{ type ifname . {address}; flags interval; }}",
        f"set subnets {{ type {address}; flags interval; }}",
        f"set protected {{ type {address}; flags interval; }}",
        f"set masqueraded {{ type {address}; flags interval; }}",
        f"map ports {{ type {address} . inet_proto . inet_service : {address} . inet_service; }}",
        f"map any_ports {{ type inet_proto . inet_service : {address} . inet_service; }}",
        f"map groups {{ type {address} . inet_proto . inet_service : verdict; }}",
        "map any_groups { type inet_proto . inet_service : verdict; }",
    )
    body = list(sets)
    for name, hook, lines in chains:
        body.extend((f"chain {name} {{", hook, *lines, "}"))
    return f"table {family} {table} {{\n" + "\n".join(line for line in body if line) + "\n}"


def _refuse_foreign() -> Iterator[str]:
    for side in ("iifname", "oifname"):
        yield f"{side} @bridges accept"
        yield from (f'{side} "{name}" accept' for name in OTHER_ENGINES)
    yield "drop"


def _bridge(verb: str, family: str, table: str, bridge: BridgeRules) -> Iterator[str]:
    subnets = [subnet for subnet in bridge.subnets if (":" in subnet) == (family == "ip6")]
    name = f'"{bridge.name}"'
    elements = {
        "bridges": [name],
        "same": [f"{name} . {name}"],
        "internal": [name] if bridge.internal else [],
        "home": [f"{name} . {subnet}" for subnet in subnets],
        "subnets": subnets,
        "protected": subnets if bridge.protected else [],
        "masqueraded": subnets if bridge.masquerade and not bridge.internal else [],
    }
    for set_name, members in elements.items():
        if members:
            yield f"{verb} element {family} {table} {set_name} {{ {', '.join(members)} }}"


def _port_changed(family: str, table: str, port: PublishedPort, old: Backends, new: Backends) -> Iterator[str]:
    if port.family != family:
        return
    if len(old) > 1 and len(new) > 1:
        yield from _group(family, table, port, new)
        return
    yield from _port_removed(family, table, port, old)
    yield from _port_added(family, table, port, new)


def _port_added(family: str, table: str, port: PublishedPort, backends: Backends) -> Iterator[str]:
    if port.family != family or not backends:
        return
    suffix, key = _place(port)
    if len(backends) == 1:
        address, number = backends[0]
        yield f"add element {family} {table} {suffix}ports {{ {key} : {address} . {number} }}"
        return
    yield f"add chain {family} {table} {_chain(port)}"
    yield from _group(family, table, port, backends)
    yield f"add element {family} {table} {suffix}groups {{ {key} : jump {_chain(port)} }}"


def _port_removed(family: str, table: str, port: PublishedPort, backends: Backends) -> Iterator[str]:
    if not backends:
        return
    suffix, key = _place(port)
    if len(backends) == 1:
        yield f"delete element {family} {table} {suffix}ports {{ {key} }}"
        return
    yield f"delete element {family} {table} {suffix}groups {{ {key} }}"
    yield f"flush chain {family} {table} {_chain(port)}"
    yield f"delete chain {family} {table} {_chain(port)}"


def _group(family: str, table: str, port: PublishedPort, backends: Backends) -> Iterator[str]:
    choices = ", ".join(f"{n} : {address} . {number}" for n, (address, number) in enumerate(backends))
    yield f"flush chain {family} {table} {_chain(port)}"
    yield (
        f"add rule {family} {table} {_chain(port)} meta l4proto {port.protocol} "
        f"dnat {family} to numgen inc mod {len(backends)} map {{ {choices} }}"
    )


def _place(port: PublishedPort) -> tuple[str, str]:
    """The prefix of the map's name and the key in it."""
    if port.host_ip == _ANY[port.family]:
        return "any_", f"{port.protocol} . {port.host_port}"
    return "", f"{port.host_ip} . {port.protocol} . {port.host_port}"


def _chain(port: PublishedPort) -> str:
    return f"port_{port.protocol}_{port.host_port}_{port.host_ip.replace(':', '-')}"

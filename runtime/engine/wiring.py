"""The interfaces of a sandbox: one on each network of its owner and on no other, the default route through the right one.

Level-triggered: what a sandbox has is compared with what the record says, whether it is new, was kept over a restart, or
its container runs.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.engine.clock import new_id
from runtime.errors import Unavailable
from runtime.linux.rtnetlink import RouteSocket
from runtime.network import endpoint, naming

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.engine.container import Container
    from runtime.engine.engine import Engine
    from runtime.engine.records import NetworkRecord


@dataclass(kw_only=True, slots=True)
class Sandbox:
    """One network namespace. `fds` by part; the zygote has duplicates of them all."""

    owner: str
    fds: dict[str, int] = field(default_factory=dict)
    route: RouteSocket | None = None
    users: set[str] = field(default_factory=set)
    wired: dict[str, str] = field(default_factory=dict)
    """Networks (ids) that have their endpoint in it, and the host's end of each."""


async def adjust(engine: Engine, owner: Container, sandbox: Sandbox) -> None:
    """Plug in what is missing, unplug what is too much; raises the EngineError of whatever failed."""
    networks = [engine.networks.get(name) for name in _in_order(owner)]
    way_out = default_network(engine, owner)
    stale = sandbox.wired.keys() - {network.id for network in networks}
    fresh = not sandbox.wired
    await unplug(sandbox, stale)
    missing = [network for network in networks if network.id not in sandbox.wired]
    taken = {"lo"} if fresh else {link.name for link in _route(sandbox).links()}
    for network in missing:
        interface = _free_name(network, taken)
        taken.add(interface)
        _plug(engine, owner, sandbox, network, interface, default=fresh and network.name == way_out)
    if not fresh and (stale or missing):
        _reroute(owner, sandbox, way_out)


async def unplug(sandbox: Sandbox, networks: Iterable[str]) -> None:
    """Take networks (ids) off a sandbox; one that is not plugged in counts as done."""
    interfaces = [name for network in list(networks) if (name := sandbox.wired.pop(network, ""))]
    if interfaces:
        # The kernel waits for a grace period: not on the loop.
        await asyncio.get_running_loop().run_in_executor(None, _delete, interfaces)


def take_down(sandbox: Sandbox) -> None:
    """Unplug what is left of a closed sandbox.

    A socket with unsent data keeps its namespace for minutes, while the addresses in it are somebody else's already.
    """
    left = [name for name in sandbox.wired.values() if os.path.exists(f"/sys/class/net/{name}")]
    if left:
        asyncio.get_running_loop().run_in_executor(None, _delete, left)


def wired(engine: Engine, owner: Container) -> dict[str, str]:
    """What the sandbox of a container has that an earlier engine wired as its record says."""
    known = engine.networks.records
    return {
        settings["NetworkID"]: naming.host_interface_name(engine.id, settings["EndpointID"])
        for settings in owner.record.endpoints.values()
        if settings.get("NetworkID") in known and settings.get("EndpointID")
    }


def default_network(engine: Engine, owner: Container) -> str:
    """The network whose gateway is the default route, empty if there is none: internal ones lead nowhere."""
    return next((name for name in _in_order(owner) if not engine.networks.get(name).internal), "")


def _plug(
    engine: Engine, owner: Container, sandbox: Sandbox, network: NetworkRecord, interface: str, *, default: bool
) -> None:
    settings = owner.record.endpoints[network.name]
    # A new id, hence a new interface name, for each time: the kernel takes the old pair down in its own time.
    settings["EndpointID"] = new_id()
    addresses = [(settings["IPAddress"], settings["IPPrefixLen"])]
    if settings.get("GlobalIPv6Address"):
        addresses.append((settings["GlobalIPv6Address"], settings["GlobalIPv6PrefixLen"]))
    link_local = (settings.get("IPAMConfig") or {}).get("LinkLocalIPs") or ()
    addresses.extend((address, 64 if ":" in address else 16) for address in link_local)
    gateways = [settings.get("Gateway", ""), settings.get("IPv6Gateway", "")] if default else []
    spec = endpoint.EndpointSpec(
        ifname=(settings.get("DriverOpts") or {}).get("com.docker.network.endpoint.ifname") or interface,
        host_ifname=naming.host_interface_name(engine.id, settings["EndpointID"]),
        bridge=network.bridge,
        group=naming.link_group(engine.id, network.id),
        mac=settings["MacAddress"],
        addresses=tuple(addresses),
        gateways=tuple(gateway for gateway in gateways if gateway),
        mtu=engine.networks.mtu(network),
        hairpin=bool(owner.record.host_config.get("PortBindings")),
        isolated=network.options.get("com.docker.network.bridge.enable_icc", "true").lower() == "false",
    )
    endpoint.connect(engine.networks.route, sandbox.fds["netns"], _route(sandbox), spec)
    sandbox.wired[network.id] = spec.host_ifname


def _reroute(owner: Container, sandbox: Sandbox, way_out: str) -> None:
    """Have the default route lead through the network that it should, after one came or went."""
    settings = owner.record.endpoints.get(way_out)
    if settings is None:
        return
    route = _route(sandbox)
    gateways = tuple(str(gateway) for key in ("Gateway", "IPv6Gateway") if (gateway := settings.get(key)))
    index = next((each.index for each in route.addresses() if each.address == settings["IPAddress"]), 0)
    interface = next((link.name for link in route.links() if link.index == index), "")
    if gateways and interface:
        endpoint.set_gateways(route, interface, gateways)


def _route(sandbox: Sandbox) -> RouteSocket:
    if sandbox.route is None:
        raise Unavailable(f"container {sandbox.owner[:12]}: its sandbox is closed")
    return sandbox.route


def _free_name(network: NetworkRecord, taken: set[str]) -> str:
    prefix = network.options.get(naming.INTERFACE_PREFIX_OPTION) or "eth"
    return next(name for number in range(len(taken) + 1) if (name := f"{prefix}{number}") not in taken)


def _in_order(owner: Container) -> list[str]:
    """Networks in the order of their interfaces; the one with the highest gateway priority leads outside."""
    endpoints = owner.record.endpoints
    return sorted(endpoints, key=lambda name: -int(endpoints[name].get("GwPriority") or 0))


def _delete(interfaces: list[str]) -> None:
    route = RouteSocket()
    try:
        for interface in interfaces:
            endpoint.disconnect(route, interface)
    finally:
        route.close()

"""The bridge of a network: create and remove, both idempotent.

Removal waits for RCU grace periods (10 to 20 ms in the kernel): call it from a thread, with a socket of its own.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass

from runtime.errors import Conflict, SyscallError
from runtime.linux.netlink import Message, NetlinkError
from runtime.linux.rtnetlink import (
    RouteSocket,
    delete_group,
    new_address,
    new_bridge,
    set_link_group,
    set_link_up,
)
from runtime.network.naming import mac_address, mac_address_of


@dataclass(frozen=True, kw_only=True)
class NetworkSpec:
    """What a bridge needs to know. `gateways` are (address, prefix length), none for a bridge without addresses."""

    bridge: str
    group: int
    gateways: tuple[tuple[str, int], ...]
    mtu: int = 1500

    @property
    def ipv6(self) -> bool:
        return any(":" in address for address, _ in self.gateways)


def create(route: RouteSocket, network: NetworkSpec) -> int:
    """Make the bridge as `network` says and return its index; an existing one of ours is brought up to date.

    Raises Conflict when another kind of interface has the name, SyscallError otherwise.
    """
    try:
        route.run([new_bridge(network.bridge, mac=_mac(network), mtu=network.mtu, group=network.group)])
    except NetlinkError as error:
        if error.errno != errno.EEXIST:
            raise
    link = route.link(network.bridge)
    if link is None or link.kind != "bridge":
        raise Conflict(f"interface {network.bridge}: exists and is not a bridge")
    _write_sysctls(network)
    batch = [new_address(link.index, address, prefix) for address, prefix in network.gateways]
    if link.group != network.group:
        batch.append(set_link_group(network.bridge, network.group))
    route.run([*batch, set_link_up(index=link.index)])
    return link.index


def remove(route: RouteSocket, networks: list[NetworkSpec]) -> None:
    """Delete the bridges and all host ends of veths of these networks, at the price of one; missing ones are done.

    Blocks for 10 to 50 ms.
    """
    if not networks:
        return
    group = networks[0].group
    batch: list[Message] = [set_link_group(network.bridge, group) for network in networks]
    others = {network.group for network in networks} - {group}
    route.run([*batch, delete_group(group), *(delete_group(other) for other in sorted(others))])


def _mac(network: NetworkSpec) -> str:
    ipv4 = next((address for address, _ in network.gateways if ":" not in address), None)
    return mac_address(ipv4) if ipv4 else mac_address_of(network.bridge)


def _write_sysctls(network: NetworkSpec) -> None:
    name = network.bridge
    values = [
        # lets DNAT carry 127.0.0.1:PORT to a container; the firewall drops 127.0.0.0/8 from anything but lo
        (f"net/ipv4/conf/{name}/route_localnet", "1"),
        # a container cannot pretend to be somebody outside its network
        (f"net/ipv4/conf/{name}/rp_filter", "1"),
        (f"net/ipv6/conf/{name}/accept_ra", "0"),
        (f"net/ipv6/conf/{name}/accept_dad", "0"),
        (f"net/ipv6/conf/{name}/disable_ipv6", "0" if network.ipv6 else "1"),
    ]
    for key, value in values:
        write_sysctl(key, value)


def write_sysctl(key: str, value: str) -> None:
    """Write a net.ipv4 or net.ipv6 sysctl of the caller's network namespace; without IPv6 its keys are skipped."""
    path = f"/proc/sys/{key}"
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        if key.startswith("net/ipv6/"):
            return
        raise SyscallError("open", errno.ENOENT, path) from None
    try:
        os.write(fd, value.encode())
    except OSError as error:
        raise SyscallError("write", error.errno or 0, path) from error
    finally:
        os.close(fd)

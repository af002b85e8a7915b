"""An endpoint: the veth pair between a network's bridge and a sandbox, its addresses and default route.

One batch on the host's rtnetlink socket, one on the sandbox's own: nothing enters the namespace, except for IPv6, whose
switch is a file that only exists inside. A pair vanishes by itself when its sandbox's namespace ends.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.errors import NotFound
from runtime.linux.rtnetlink import (
    RouteSocket,
    delete_default_route,
    delete_link,
    family_of,
    new_address,
    new_route,
    new_veth,
    set_bridge_port,
    set_link_up,
)
from runtime.linux.syscalls import KERNEL
from runtime.network.bridge import write_sysctl

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, kw_only=True)
class EndpointSpec:
    """An endpoint to be. `addresses` are (address, prefix length); `gateways` those to use as default routes, if any.

    `hairpin` is needed by a container that reaches its own published port where bridges call iptables; `isolated` ports
    of a bridge cannot talk to each other (icc=false).
    """

    ifname: str
    host_ifname: str
    bridge: str
    group: int
    mac: str
    addresses: tuple[tuple[str, int], ...]
    gateways: tuple[str, ...] = ()
    mtu: int = 1500
    hairpin: bool = False
    isolated: bool = False
    metric: int = 0

    @property
    def ipv6(self) -> bool:
        return any(":" in address for address, _ in self.addresses)


def connect(
    host_route: RouteSocket, netns_fd: int, netns_route: RouteSocket, endpoint: EndpointSpec, kernel: Kernel = KERNEL
) -> None:
    """Plug the sandbox into the bridge; takes about 1 ms. On failure nothing is left behind.

    Raises NotFound when the bridge is gone, SyscallError otherwise.
    """
    try:
        bridge_index = socket.if_nametoindex(endpoint.bridge)
    except OSError:
        raise NotFound(f"bridge {endpoint.bridge}: no such interface") from None
    host = [
        new_veth(
            endpoint.host_ifname,
            endpoint.ifname,
            netns_fd=netns_fd,
            peer_mac=endpoint.mac,
            mtu=endpoint.mtu,
            master=bridge_index,
            group=endpoint.group,
        )
    ]
    if endpoint.hairpin or endpoint.isolated:
        host.append(set_bridge_port(endpoint.host_ifname, hairpin=endpoint.hairpin, isolated=endpoint.isolated))
    host_route.run(host)
    try:
        _configure(netns_fd, netns_route, endpoint, kernel)
    except BaseException:
        host_route.run([delete_link(endpoint.host_ifname)])
        raise


def _configure(netns_fd: int, netns_route: RouteSocket, endpoint: EndpointSpec, kernel: Kernel) -> None:
    link = netns_route.link(endpoint.ifname)
    if link is None:
        raise NotFound(f"interface {endpoint.ifname}: vanished from its sandbox")
    if endpoint.ipv6:
        _enable_ipv6(netns_fd, endpoint.ifname, kernel)
    batch = [set_link_up(index=link.index)]
    batch.extend(new_address(link.index, address, prefix) for address, prefix in endpoint.addresses)
    batch.extend(new_route(link.index, gateway, metric=endpoint.metric) for gateway in endpoint.gateways)
    netns_route.run(batch)


def _enable_ipv6(netns_fd: int, ifname: str, kernel: Kernel) -> None:
    """Files below /proc/sys/net are those of the opener's namespace: go there and come back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        kernel.setns(netns_fd, _CLONE_NEWNET)
        try:
            write_sysctl(f"net/ipv6/conf/{ifname}/accept_ra", "0")
            write_sysctl(f"net/ipv6/conf/{ifname}/accept_dad", "0")
            write_sysctl(f"net/ipv6/conf/{ifname}/disable_ipv6", "0")
        finally:
            kernel.setns(home, _CLONE_NEWNET)
    finally:
        os.close(home)


def set_gateways(netns_route: RouteSocket, ifname: str, gateways: tuple[str, ...], metric: int = 0) -> None:
    """Make `gateways` on interface `ifname` the sandbox's default routes, in place of the present ones."""
    link = netns_route.link(ifname)
    if link is None:
        raise NotFound(f"interface {ifname}: no such interface in the sandbox")
    batch = [delete_default_route(family_of(gateway)) for gateway in gateways]
    batch.extend(new_route(link.index, gateway, metric=metric) for gateway in gateways)
    netns_route.run(batch)


def disconnect(host_route: RouteSocket, host_ifname: str) -> None:
    """Unplug one endpoint of a sandbox that lives on; blocks for 10 to 20 ms. One that is gone counts as done."""
    host_route.run([delete_link(host_ifname)])

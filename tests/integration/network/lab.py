"""A host of its own in a network namespace, with networks, containers and a neighbour on the LAN.

The calling thread lives in the namespace; sockets keep the namespace they were opened in, so one selector thread serves
all servers. Nothing of the machine's own network is ever touched, and all is gone when the descriptors are closed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runtime.linux.netlink import NetlinkError
from runtime.linux.nfnetlink import NetfilterSocket
from runtime.linux.nft import open_nft
from runtime.linux.rtnetlink import RouteSocket, new_address, new_route, new_veth, set_link_up
from runtime.linux.syscalls import KERNEL
from runtime.network import bridge, endpoint, sandbox
from runtime.network.firewall import Firewall
from runtime.network.naming import mac_address
from runtime.network.portmap import reserve
from runtime.network.ruleset import BridgeRules, PublishedPort

if TYPE_CHECKING:
    from collections.abc import Iterator

NEWNET = 0x40000000
LAN_HOST, LAN_PEER = "192.0.2.1", "192.0.2.2"
LAN_HOST6, LAN_PEER6 = "fd00:aa::1", "fd00:aa::2"
BLOCKED = ""


@dataclass
class Node:
    """Somebody with a network namespace: a container, or the neighbour."""

    name: str
    netns: int
    address: str = ""
    address6: str = ""
    sandbox: sandbox.Sandbox | None = None


@dataclass
class Probe:
    """One attempt to connect and be greeted."""

    sock: socket.socket
    protocol: str
    answer: str = BLOCKED
    source: str = field(default="")


class Lab:
    def __init__(self, *, bridge_calls_iptables: bool = True) -> None:
        self.home = own_netns()
        KERNEL.unshare(NEWNET)
        self.netns = own_netns()
        self.route = RouteSocket()
        self.route.run([set_link_up("lo")])
        self.nft = open_nft()
        self.netfilter = NetfilterSocket()
        self.firewall = Firewall(self.nft, self.netfilter, "ab12")
        self.nodes: list[Node] = []
        self.networks: dict[str, bridge.NetworkSpec] = {}
        self.sockets: list[socket.socket] = []
        self.selector = selectors.DefaultSelector()
        self.stopping = False
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        for key in ("iptables", "ip6tables"):
            with (
                contextlib.suppress(FileNotFoundError),
                open(f"/proc/sys/net/bridge/bridge-nf-call-{key}", "w") as file,
            ):
                file.write("1" if bridge_calls_iptables else "0")
        for key in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            with open(f"/proc/sys/net/{key}", "w") as file:
                file.write("1")

    def close(self) -> None:
        self.stopping = True
        self.thread.join()
        self.selector.close()
        for sock in (*self.sockets, self.route, self.netfilter):
            sock.close()
        for node in self.nodes:
            if node.sandbox is not None:
                node.sandbox.close()
            else:
                os.close(node.netns)
        KERNEL.setns(self.home, NEWNET)
        os.close(self.netns)
        os.close(self.home)

    def network(self, name: str, number: int, *, internal: bool = False, ipv6: bool = False) -> str:
        """A network 10.N.0.0/24 (and fd00:N::/64) with its bridge and firewall elements."""
        gateways: tuple[tuple[str, int], ...] = ((f"10.{number}.0.1", 24),)
        subnets: tuple[str, ...] = (f"10.{number}.0.0/24",)
        if ipv6:
            gateways += ((f"fd00:{number}::1", 64),)
            subnets += (f"fd00:{number}::/64",)
        spec = bridge.NetworkSpec(bridge=f"pyc{name}", group=1000 + number, gateways=gateways)
        bridge.create(self.route, spec)
        self.networks[name] = spec
        self.firewall.set_bridge(BridgeRules(name=spec.bridge, subnets=subnets, internal=internal))
        return name

    def container(self, name: str, network: str, last: int, *, isolated: bool = False, dns: bool = False) -> Node:
        """A sandbox on `network` with the address ending in `last`."""
        spec = self.networks[network]
        made = sandbox.make(KERNEL, dns=dns)
        addresses = tuple((gateway[: -len("1")] + str(last), prefix) for gateway, prefix in spec.gateways)
        node = Node(name, made.netns, addresses[0][0], addresses[1][0] if len(addresses) > 1 else "", made)
        self.nodes.append(node)
        endpoint.connect(
            self.route,
            made.netns,
            made.rtnl,
            endpoint.EndpointSpec(
                ifname="eth0",
                host_ifname=f"v{name}",
                bridge=spec.bridge,
                group=spec.group,
                mac=mac_address(node.address),
                addresses=addresses,
                gateways=tuple(gateway for gateway, _ in spec.gateways),
                hairpin=True,
                isolated=isolated,
            ),
        )
        return node

    def neighbour(self) -> Node:
        """A machine on the LAN that routes everything through the host, as an attacker or a lazy admin would."""
        with inside(self.home):
            KERNEL.unshare(NEWNET)
            node = Node("lan", own_netns(), LAN_PEER, LAN_PEER6)
            peer_route = RouteSocket()
            KERNEL.setns(self.netns, NEWNET)
        self.nodes.append(node)
        veth = new_veth("lan0", "eth0", netns_fd=node.netns, peer_mac="02:00:00:00:00:02", mtu=1500, master=0, group=0)
        self.route.run([veth])
        ours, theirs = self.route.link("lan0"), peer_route.link("eth0")
        assert ours
        assert theirs
        self.route.run([new_address(ours.index, LAN_HOST, 24), new_address(ours.index, LAN_HOST6, 64)])
        peer_route.run(
            [
                set_link_up("lo"),
                set_link_up(index=theirs.index),
                new_address(theirs.index, LAN_PEER, 24),
                new_address(theirs.index, LAN_PEER6, 64),
                new_route(theirs.index, LAN_HOST),
                new_route(theirs.index, LAN_HOST6),
            ]
        )
        # IPv6 comes up a moment after the carrier
        wait_for(lambda: _try(lambda: peer_route.run([new_route(theirs.index, LAN_HOST6)])))
        peer_route.close()
        return node

    def publish(self, port: int, *backends: tuple[Node, int], host_ip: str = "0.0.0.0", protocol: str = "tcp") -> None:
        """A published port: bound, and in the firewall."""
        if protocol == "tcp" and not any(sock.getsockname()[1] == port for sock in self.sockets):
            self.sockets.extend(item.sock for item in reserve(protocol, host_ip, range(port, port + 1)))
        key = PublishedPort(protocol=protocol, host_ip=host_ip, host_port=port)
        six = ":" in host_ip
        self.firewall.publish(key, tuple((node.address6 if six else node.address, number) for node, number in backends))

    def serve(self, node: Node | None, port: int, *, protocol: str = "tcp") -> None:
        """Greet everybody who comes to `port` of a node (the host: None), on all addresses."""
        with inside(node.netns if node else self.netns):
            sock = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("::", port))
        if protocol == "tcp":
            sock.listen(256)
        sock.setblocking(False)
        self.sockets.append(sock)
        self.selector.register(sock, selectors.EVENT_READ, node.name if node else "host")

    def _serve(self) -> None:
        while not self.stopping:
            for key, _ in self.selector.select(0.02):
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                with contextlib.suppress(OSError):
                    if sock.type == socket.SOCK_STREAM:
                        connection, peer = sock.accept()
                        with connection:
                            connection.sendall(f"{key.data} {plain(peer[0])}".encode())
                    else:
                        _, peer = sock.recvfrom(100)
                        sock.sendto(f"{key.data} {plain(peer[0])}".encode(), peer)

    def start(self, node: Node | None, address: str, port: int, protocol: str = "tcp") -> Probe:
        with inside(node.netns if node else self.netns):
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            sock = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
        sock.setblocking(False)
        probe = Probe(sock, protocol)
        try:
            sock.connect_ex((address, port))
            probe.source = sock.getsockname()[0]
            if protocol == "udp":
                sock.send(b"?")
        except OSError:
            pass
        return probe

    def reach_all(
        self, *wanted: tuple[Node | None, str, int], protocol: str = "tcp", patience: float = 0.6
    ) -> list[str]:
        """The server names and client addresses that greet, BLOCKED where nothing comes within `patience` seconds."""
        probes = [self.start(node, address, port, protocol) for node, address, port in wanted]
        end = time.monotonic() + patience
        selector = selectors.DefaultSelector()
        for probe in probes:
            selector.register(probe.sock, selectors.EVENT_READ, probe)
        left = len(probes)
        while left and (rest := end - time.monotonic()) > 0:
            ready = selector.select(min(rest, 0.5))
            for probe in probes if not ready and protocol == "udp" else ():
                # a datagram may get lost before the neighbour table is warm
                with contextlib.suppress(OSError):
                    probe.sock.send(b"?")
            for key, _ in ready:
                selector.unregister(key.fileobj)
                left -= 1
                with contextlib.suppress(OSError):
                    key.data.answer = key.data.sock.recv(100).decode()
        selector.close()
        for probe in probes:
            probe.sock.close()
        return [probe.answer for probe in probes]

    def reach(self, node: Node | None, address: str, port: int, *, protocol: str = "tcp", patience: float = 5) -> str:
        return self.reach_all((node, address, port), protocol=protocol, patience=patience)[0]


def own_netns() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextlib.contextmanager
def inside(netns: int) -> Iterator[None]:
    """The calling thread is in another network namespace for a while."""
    back = own_netns()
    try:
        KERNEL.setns(netns, NEWNET)
        yield
    finally:
        KERNEL.setns(back, NEWNET)
        os.close(back)


def plain(address: str) -> str:
    return address.removeprefix("::ffff:")


def wait_for(condition, seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.01)


def _try(action) -> bool:
    try:
        action()
    except NetlinkError:
        return False
    return True

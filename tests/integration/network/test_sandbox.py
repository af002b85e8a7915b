"""Sandboxes: their namespace, their resolver at 127.0.0.11, and the proxy beside them."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
from contextlib import ExitStack, closing, suppress
from typing import TYPE_CHECKING

import pytest

from runtime.dns.server import DnsServer
from runtime.dns.zones import View, Zone
from runtime.linux.rtnetlink import RouteSocket
from runtime.linux.syscalls import KERNEL
from runtime.network import bridge, endpoint, sandbox
from runtime.network.portmap import PortTable
from runtime.network.proxy import Proxy
from tests.integration.network.lab import inside, own_netns

if TYPE_CHECKING:
    from tests.integration.network.lab import Lab, Node

pytestmark = pytest.mark.root

QUERY = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"\x03web\0" + struct.pack(">HH", 1, 1)


def view(address: str) -> View:
    zone = Zone("id", "net", internal=True)
    zone.set_endpoint("e", ["web"], [address])
    return View(zones=(zone,))


def ask_inside(node: Node, kind: int) -> socket.socket:
    with inside(node.netns):
        sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    return sock


async def udp_answer(node: Node) -> bytes:
    loop = asyncio.get_running_loop()
    with closing(ask_inside(node, socket.SOCK_DGRAM)) as sock:
        await loop.sock_connect(sock, ("127.0.0.11", 53))
        await loop.sock_sendall(sock, QUERY)
        return await asyncio.wait_for(loop.sock_recv(sock, 512), 5)


async def tcp_answer(node: Node) -> bytes:
    loop = asyncio.get_running_loop()
    with closing(ask_inside(node, socket.SOCK_STREAM)) as sock:
        await asyncio.wait_for(loop.sock_connect(sock, ("127.0.0.11", 53)), 5)
        await loop.sock_sendall(sock, len(QUERY).to_bytes(2, "big") + QUERY)
        return (await asyncio.wait_for(loop.sock_recv(sock, 512), 5))[2:]


def serve(server: DnsServer, node: Node, address: str) -> None:
    made = node.sandbox
    assert made is not None
    assert made.dns_udp is not None
    assert made.dns_tcp is not None
    server.add_sandbox(node.name, made.dns_udp, made.dns_tcp, view(address))


def test_each_sandbox_has_its_own_resolver_at_127_0_0_11(plain_lab: Lab):
    front = plain_lab.network("front", 1)
    nodes = [plain_lab.container(f"c{n}", front, n + 2, dns=True) for n in range(2)]

    async def main() -> None:
        server = DnsServer()
        for number, node in enumerate(nodes):
            serve(server, node, f"10.99.0.{number}")
        for number, node in enumerate(nodes):
            assert (await udp_answer(node)).endswith(bytes((10, 99, 0, number)))
            assert (await tcp_answer(node)).endswith(bytes((10, 99, 0, number)))
        server.close()

    asyncio.run(main())


def test_a_query_waits_for_a_resolver_that_comes_back(plain_lab: Lab):
    node = plain_lab.container("c", plain_lab.network("front", 1), 2, dns=True)

    async def main() -> None:
        waiting = asyncio.ensure_future(udp_answer(node))
        await asyncio.sleep(0)
        server = DnsServer()
        serve(server, node, "10.99.0.1")
        assert (await waiting).endswith(bytes((10, 99, 0, 1)))
        server.close()

    asyncio.run(main())


def test_the_containers_own_port_53_stays_free(plain_lab: Lab):
    node = plain_lab.container("c", plain_lab.network("front", 1), 2, dns=True)
    with inside(node.netns):
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with closing(socket.socket(socket.AF_INET, kind)) as sock:
                sock.bind(("0.0.0.0", 53))


def test_rebuilding_a_sandbox_replaces_its_redirect(plain_lab: Lab):
    node = plain_lab.container("c", plain_lab.network("front", 1), 2, dns=True)
    assert node.sandbox is not None
    again = sandbox.make(KERNEL, dns=True, netns_fd=node.netns)
    assert (again.udp_port, again.tcp_port) != (node.sandbox.udp_port, node.sandbox.tcp_port)
    with inside(node.netns):
        rules = subprocess.run(["nft", "list", "ruleset"], capture_output=True, text=True, check=True).stdout
    assert rules.count("dnat to 127.0.0.11:") == 2
    assert f"dnat to 127.0.0.11:{again.udp_port}" in rules

    async def main() -> None:
        server = DnsServer()
        assert again.dns_udp is not None
        assert again.dns_tcp is not None
        server.add_sandbox("c", again.dns_udp, again.dns_tcp, view("10.99.0.1"))
        assert (await udp_answer(node)).endswith(bytes((10, 99, 0, 1)))
        assert (await tcp_answer(node)).endswith(bytes((10, 99, 0, 1)))
        server.close()

    asyncio.run(main())
    again.close()


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_clearing_a_sandbox_frees_ports_and_spares_what_lives_or_has_unsent_data(
    plain_lab: Lab, family: int, address: str
):
    made = sandbox.make(KERNEL, dns=False)
    with inside(made.netns), ExitStack() as stack:

        def opened() -> socket.socket:
            return stack.enter_context(socket.socket(family))

        def listener() -> socket.socket:
            server = opened()
            server.bind((address, 0))
            server.listen()
            return server

        ended, living = listener(), listener()
        clients = [opened() for _ in range(4)]
        for client in clients[:2]:
            client.connect(ended.getsockname())
        for client in clients[2:]:
            client.connect(living.getsockname())
        (first, _), (second, _), (alive, _) = ended.accept(), ended.accept(), living.accept()
        port = ended.getsockname()[1]
        for sock in (first, second, clients[0], ended):
            sock.close()
        with pytest.raises(OSError, match="in use"):
            opened().bind((address, port))
        assert sandbox.clear(KERNEL, made.netns) == 0
        opened().bind((address, port))
        clients[2].send(b"1")
        clients[3].send(b"2")
        waiting = stack.enter_context(living.accept()[0])  # until now it had no process
        assert (alive.recv(1), waiting.recv(1)) == (b"1", b"2")
        alive.setblocking(False)
        with suppress(BlockingIOError):
            while alive.send(bytes(1 << 16)):
                pass
        alive.close()
        assert sandbox.clear(KERNEL, made.netns) == 1
        assert clients[2].recv(1)
    made.close()


def test_a_sandbox_has_dockers_sysctls_and_the_caller_its_own_namespace(plain_lab: Lab):
    before = own_netns()
    made = sandbox.make(KERNEL, dns=False)
    after = own_netns()
    assert socket_inode(before) == socket_inode(after)
    assert made.udp_port == made.tcp_port == 0
    assert len(made.fds()) == 2
    with inside(made.netns):
        for key, value in sandbox.SYSCTLS:
            with open(f"/proc/sys/{key}") as file:
                assert file.read().split() == value.split()
        with closing(socket.socket(socket.AF_INET6)) as sock:
            sock.bind(("::1", 0))
    made.close()


def socket_inode(fd: int) -> int:
    import os

    try:
        return os.fstat(fd).st_ino
    finally:
        os.close(fd)


def test_a_network_without_ipv6_gives_its_containers_none(plain_lab: Lab):
    four = plain_lab.container("four", plain_lab.network("front", 1), 2)
    six = plain_lab.container("six", plain_lab.network("back", 2, ipv6=True), 2)
    assert four.sandbox is not None
    assert six.sandbox is not None
    # the loopback has ::1 in both
    assert [item.address for item in four.sandbox.rtnl.addresses()] == ["127.0.0.1", "10.1.0.2", "::1"]
    assert "fd00:2::2" in [item.address for item in six.sandbox.rtnl.addresses()]


def test_bridges_are_made_once_and_go_together_with_their_veths(plain_lab: Lab):
    lab = plain_lab
    lab.network("front", 1)
    again = bridge.create(lab.route, lab.networks["front"])
    link = lab.route.link("pycfront")
    assert link is not None
    assert link.index == again
    lab.network("back", 2)
    lab.container("a", "front", 2)
    lab.container("b", "back", 2)
    bridge.remove(lab.route, list(lab.networks.values()))
    bridge.remove(lab.route, list(lab.networks.values()))
    assert [item.name for item in lab.route.links()] == ["lo"]


def test_a_failed_connection_leaves_nothing_behind(plain_lab: Lab):
    lab = plain_lab
    lab.network("front", 1)
    made = sandbox.make(KERNEL, dns=False)
    wrong = endpoint.EndpointSpec(
        ifname="eth0",
        host_ifname="vwrong",
        bridge="pycfront",
        group=1001,
        mac="02:42:0a:01:00:02",
        addresses=(("10.1.0.2", 24),),
        gateways=("10.77.0.1",),
    )
    with pytest.raises(Exception, match="add route default via 10.77.0.1"):
        endpoint.connect(lab.route, made.netns, made.rtnl, wrong)
    assert lab.route.link("vwrong") is None
    assert made.rtnl.link("eth0") is None
    made.close()


def test_the_default_route_can_move_to_another_interface(plain_lab: Lab):
    lab = plain_lab
    lab.network("front", 1)
    lab.network("back", 2)
    node = lab.container("c", "front", 2)
    assert node.sandbox is not None
    spec = endpoint.EndpointSpec(
        ifname="eth1",
        host_ifname="vsecond",
        bridge="pycback",
        group=1002,
        mac="02:42:0a:02:00:02",
        addresses=(("10.2.0.2", 24),),
    )
    endpoint.connect(lab.route, node.netns, node.sandbox.rtnl, spec)
    endpoint.set_gateways(node.sandbox.rtnl, "eth1", ("10.2.0.1",))
    defaults = [item.gateway for item in _routes(node.sandbox.rtnl) if item.destination == "0.0.0.0/0"]
    assert defaults == ["10.2.0.1"]
    endpoint.disconnect(lab.route, "vsecond")
    endpoint.disconnect(lab.route, "vsecond")
    assert node.sandbox.rtnl.link("eth1") is None


def _routes(route: RouteSocket) -> list:
    return route.routes()


def test_ipv6_loopback_reaches_an_ipv4_container_through_the_proxy(plain_lab: Lab):
    lab = plain_lab
    web = lab.container("web", lab.network("front", 1), 2)
    for protocol in ("tcp", "udp"):
        lab.serve(web, 80, protocol=protocol)
    lab.firewall.apply()
    table = PortTable()

    async def main() -> None:
        proxy = Proxy()
        for protocol in ("tcp", "udp"):
            for reservation in table.acquire("web", "", protocol, "", range(8080, 8081)):
                proxy.serve(reservation, ((web.address, 80),))
        loop = asyncio.get_running_loop()
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1")):
                with closing(socket.socket(family, kind)) as sock:
                    sock.setblocking(False)
                    await asyncio.wait_for(loop.sock_connect(sock, (host, 8080)), 5)
                    await loop.sock_sendall(sock, b"?")
                    assert await asyncio.wait_for(loop.sock_recv(sock, 100), 5) == b"web 10.1.0.1"
        proxy.close()

    asyncio.run(main())
    table.release("web")

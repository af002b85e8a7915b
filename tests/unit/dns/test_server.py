"""The resolver and its forwarder over real loopback sockets."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, closing

import pytest

from runtime.dns.server import DnsServer
from runtime.dns.zones import Upstream, View, Zone

dns = pytest.importorskip("dns.message")
import dns.asyncquery  # noqa: E402
import dns.flags  # noqa: E402
import dns.rcode  # noqa: E402
import dns.rrset  # noqa: E402


def bound(kind: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, kind)
    sock.setblocking(False)
    sock.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        sock.listen()
    return sock


class Resolver:
    def __init__(self, server: DnsServer, udp: int, tcp: int) -> None:
        self.server, self.udp_port, self.tcp_port = server, udp, tcp

    async def udp(self, name: str, kind: str = "A", **options: object) -> dns.message.Message:
        query = dns.message.make_query(name, kind, **options)
        return await dns.asyncquery.udp(query, "127.0.0.1", port=self.udp_port, timeout=5)

    async def tcp(self, name: str, kind: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, kind)
        return await dns.asyncquery.tcp(query, "127.0.0.1", port=self.tcp_port, timeout=5)


@asynccontextmanager
async def serving(view: View):
    udp, tcp = bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM)
    server = DnsServer()
    server.add_sandbox("s", udp, tcp, view)
    try:
        yield Resolver(server, udp.getsockname()[1], tcp.getsockname()[1])
    finally:
        server.close()


class FakeUpstream(asyncio.DatagramProtocol):
    """Answers every query by `answer`, a function of the parsed query; None stays silent."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.seen: list[str] = []

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, addr) -> None:
        query = dns.message.from_wire(data)
        self.seen.append(str(query.question[0].name))
        response = self.answer(query)
        if response is not None:
            self.transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def upstream(answer):
    loop = asyncio.get_running_loop()
    transport, fake = await loop.create_datagram_endpoint(lambda: FakeUpstream(answer), ("127.0.0.1", 0))
    try:
        yield fake, Upstream(address="127.0.0.1", port=transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def addresses(response: dns.message.Message) -> list[str]:
    return [item.address for rrset in response.answer for item in rrset]


def one_name() -> Zone:
    zone = Zone("id", "app_default")
    zone.set_endpoint("e1", ["app-web-1", "web"], ["10.0.0.2"])
    return zone


def web(address: str):
    def answer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", address))
        return response

    return answer


def failing(rcode: int):
    def answer(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        return response

    return answer


def test_names_resolve_over_udp_and_tcp_in_any_case():
    async def main() -> None:
        async with serving(View(zones=(one_name(),))) as resolver:
            assert addresses(await resolver.udp("web")) == ["10.0.0.2"]
            assert addresses(await resolver.udp("WeB")) == ["10.0.0.2"]
            assert addresses(await resolver.tcp("web")) == ["10.0.0.2"]

    asyncio.run(main())


def test_a_known_name_without_an_ipv6_address_has_an_empty_answer():
    async def main() -> None:
        async with serving(View(zones=(one_name(),))) as resolver:
            for kind in ("AAAA", "MX", "HTTPS"):
                response = await resolver.udp("web", kind)
                assert response.rcode() == dns.rcode.NOERROR
                assert not response.answer

    asyncio.run(main())


def test_each_replica_comes_first_in_turn():
    async def main() -> None:
        zone = one_name()
        zone.set_endpoint("e2", ["web"], ["10.0.0.3"])
        zone.set_endpoint("e3", ["web"], ["10.0.0.4"])
        async with serving(View(zones=(zone,))) as resolver:
            query = dns.message.make_query("web", "A")
            first = [
                addresses(
                    await dns.asyncquery.udp(
                        query, "127.0.0.1", port=resolver.udp_port, timeout=5, one_rr_per_rrset=True
                    )
                )[0]
                for _ in range(6)
            ]
            assert sorted(first) == ["10.0.0.2", "10.0.0.2", "10.0.0.3", "10.0.0.3", "10.0.0.4", "10.0.0.4"]

    asyncio.run(main())


def test_a_cached_answer_gives_way_to_a_changed_name():
    async def main() -> None:
        zone = one_name()
        async with serving(View(zones=(zone,))) as resolver:
            assert addresses(await resolver.udp("web")) == ["10.0.0.2"]
            assert addresses(await resolver.udp("web")) == ["10.0.0.2"]
            zone.set_endpoint("e1", ["web"], ["10.0.0.9"])
            assert addresses(await resolver.udp("web")) == ["10.0.0.9"]
            resolver.server.update_view("s", View(zones=(Zone("other", "other", internal=True),)))
            assert (await resolver.udp("web")).rcode() == dns.rcode.SERVFAIL

    asyncio.run(main())


def test_reverse_look_up_names_the_container():
    async def main() -> None:
        async with serving(View(zones=(one_name(),))) as resolver:
            response = await resolver.udp("2.0.0.10.in-addr.arpa", "PTR")
            assert str(response.answer[0][0].target) == "app-web-1.app_default."

    asyncio.run(main())


def test_many_replicas_do_not_fit_a_datagram_but_a_connection():
    async def main() -> None:
        zone = Zone("id", "n")
        for n in range(60):
            zone.set_endpoint(f"e{n}", ["web"], [f"10.0.0.{n + 1}"])
        async with serving(View(zones=(zone,))) as resolver:
            query = dns.message.make_query("web", "A")
            small = await dns.asyncquery.udp(query, "127.0.0.1", port=resolver.udp_port, timeout=5)
            assert small.flags & dns.flags.TC
            assert len(addresses(await resolver.tcp("web"))) == 60
            assert len(addresses(await resolver.udp("web", use_edns=0, payload=4096))) == 60

    asyncio.run(main())


def test_other_names_are_forwarded_with_an_id_of_our_own():
    async def main() -> None:
        ids: set[int] = set()

        def answer(query: dns.message.Message) -> dns.message.Message:
            ids.add(query.id)
            return web("198.51.100.1")(query)

        async with (
            upstream(answer) as (fake, server),
            serving(View(zones=(one_name(),), upstreams=(server,))) as resolver,
        ):
            responses = await asyncio.gather(*(resolver.udp("Example.org") for _ in range(20)))
            assert all(addresses(response) == ["198.51.100.1"] for response in responses)
            assert fake.seen[0] == "Example.org."
            assert len(ids) > 10

    asyncio.run(main())


def test_the_next_server_is_asked_when_one_fails_or_is_silent():
    async def main() -> None:
        async with (
            upstream(failing(dns.rcode.SERVFAIL)) as (_, bad),
            upstream(lambda _: None) as (_, silent),
            upstream(web("198.51.100.2")) as (_, good),
        ):
            with closing(bound(socket.SOCK_DGRAM)) as unused:
                refusing = Upstream(address="127.0.0.1", port=unused.getsockname()[1])
            view = View(zones=(one_name(),), upstreams=(refusing, bad, silent, good))
            async with serving(view) as resolver:
                assert addresses(await resolver.udp("example.org")) == ["198.51.100.2"]

    asyncio.run(main())


def test_no_answer_at_all_is_servfail_in_time():
    async def main() -> None:
        async with upstream(lambda _: None) as (_, silent):
            view = View(zones=(one_name(),), upstreams=(silent,), timeout=0.3)
            async with serving(view) as resolver:
                assert (await resolver.udp("example.org")).rcode() == dns.rcode.SERVFAIL

    asyncio.run(main())


def test_an_nxdomain_from_upstream_is_an_answer():
    async def main() -> None:
        async with upstream(failing(dns.rcode.NXDOMAIN)) as (fake, server):
            async with serving(View(zones=(one_name(),), upstreams=(server,))) as resolver:
                assert (await resolver.udp("nope.example.org")).rcode() == dns.rcode.NXDOMAIN
            assert len(fake.seen) == 1

    asyncio.run(main())


def test_an_answer_to_another_question_is_not_believed():
    async def main() -> None:
        def forged(query: dns.message.Message) -> dns.message.Message:
            other = dns.message.make_query("evil.example.", "A", id=query.id)
            return web("203.0.113.66")(other)

        async with upstream(forged) as (_, server):
            view = View(zones=(one_name(),), upstreams=(server,), timeout=0.3)
            async with serving(view) as resolver:
                assert (await resolver.udp("example.org")).rcode() == dns.rcode.SERVFAIL

    asyncio.run(main())


def test_an_internal_network_asks_no_server_of_the_host():
    async def main() -> None:
        zone = Zone("id", "back", internal=True)
        async with upstream(web("198.51.100.1")) as (fake, server):
            async with serving(View(zones=(zone,), upstreams=(server,))) as resolver:
                assert (await resolver.udp("example.org")).rcode() == dns.rcode.SERVFAIL
                assert (await resolver.tcp("example.org")).rcode() == dns.rcode.SERVFAIL
            assert not fake.seen

    asyncio.run(main())


def test_with_ndots_a_single_label_is_left_to_the_search_list():
    async def main() -> None:
        async with upstream(web("198.51.100.1")) as (fake, server):
            view = View(zones=(one_name(),), upstreams=(server,), ndots_set=True)
            async with serving(view) as resolver:
                response = await resolver.udp("intranet")
                assert response.rcode() == dns.rcode.NOERROR
                assert not response.answer
            assert not fake.seen

    asyncio.run(main())


def test_tcp_queries_are_forwarded_over_tcp():
    async def main() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            size = int.from_bytes(await reader.readexactly(2), "big")
            wire = web("198.51.100.3")(dns.message.from_wire(await reader.readexactly(size))).to_wire()
            writer.write(len(wire).to_bytes(2, "big") + wire)
            writer.close()

        tcp_server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with tcp_server:
            server = Upstream(address="127.0.0.1", port=tcp_server.sockets[0].getsockname()[1])
            async with serving(View(zones=(one_name(),), upstreams=(server,))) as resolver:
                assert addresses(await resolver.tcp("example.org")) == ["198.51.100.3"]

    asyncio.run(main())


def test_garbage_is_answered_formerr_or_not_at_all():
    async def main() -> None:
        async with serving(View(zones=(Zone("id", "n", internal=True),))) as resolver:
            loop = asyncio.get_running_loop()
            with closing(bound(socket.SOCK_DGRAM)) as client:
                for garbage in (b"", b"x", b"\0" * 11):
                    await loop.sock_sendto(client, garbage, ("127.0.0.1", resolver.udp_port))
                await loop.sock_sendto(client, b"\x12\x34" + b"\0" * 10, ("127.0.0.1", resolver.udp_port))
                response = await asyncio.wait_for(loop.sock_recv(client, 512), 5)
                assert response[:2] == b"\x12\x34"
                assert response[3] & 15 == 1

    asyncio.run(main())


def test_removing_a_sandbox_closes_its_sockets():
    async def main() -> None:
        udp, tcp = bound(socket.SOCK_DGRAM), bound(socket.SOCK_STREAM)
        server = DnsServer()
        zone = one_name()
        server.add_sandbox("s", udp, tcp, View(zones=(zone,)))
        server.remove_sandbox("s")
        server.remove_sandbox("s")
        assert udp.fileno() == tcp.fileno() == -1
        zone.set_endpoint("e2", ["db"], ["10.0.0.3"])

    asyncio.run(main())

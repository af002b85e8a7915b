"""The proxy behind published sockets, over loopback."""

from __future__ import annotations

import asyncio
import socket
from contextlib import asynccontextmanager, closing

import pytest

from runtime.network.portmap import Reservation, reserve
from runtime.network.proxy import Proxy


@asynccontextmanager
async def tcp_backend(name: bytes):
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(name + b":")
        data = await reader.read()
        writer.write(data)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[:2]


@asynccontextmanager
async def proxied(protocol: str, *backends: tuple[str, int], host: str = "127.0.0.1"):
    proxy = Proxy()
    reservation = reserve(protocol, host, range(1))[0]
    proxy.serve(reservation, backends)
    try:
        yield proxy, reservation
    finally:
        proxy.close()
        reservation.sock.close()


async def say(reservation: Reservation, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(reservation.host_ip, reservation.host_port)
    writer.write(data)
    writer.write_eof()
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


def test_data_and_ends_pass_both_ways_and_connections_are_dealt_out():
    async def main() -> None:
        async with tcp_backend(b"a") as a, tcp_backend(b"b") as b, proxied("tcp", a, b) as (_, port):
            big = b"x" * 3_000_000
            answers = await asyncio.gather(*(say(port, big) for _ in range(4)))
            assert sorted(answer[:2] for answer in answers) == [b"a:", b"a:", b"b:", b"b:"]
            assert all(answer[2:] == big for answer in answers)

    asyncio.run(main())


def test_a_dead_backend_is_passed_over():
    async def main() -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as gone:
            dead = gone.getsockname()
        async with tcp_backend(b"a") as a, proxied("tcp", dead, a) as (_, port):
            assert {await say(port, b"1") for _ in range(4)} == {b"a:1"}

    asyncio.run(main())


def test_without_backends_a_connection_is_reset():
    async def main() -> None:
        async with proxied("tcp") as (_, port):
            with pytest.raises(ConnectionError):
                await say(port, b"1")

    asyncio.run(main())


def test_backends_can_change_while_serving():
    async def main() -> None:
        async with tcp_backend(b"a") as a, tcp_backend(b"b") as b, proxied("tcp", a) as (proxy, port):
            assert await say(port, b"1") == b"a:1"
            proxy.serve(port, (b,))
            assert await say(port, b"1") == b"b:1"

    asyncio.run(main())


def test_ipv6_clients_reach_ipv4_backends():
    async def main() -> None:
        async with tcp_backend(b"a") as a, proxied("tcp", a, host="::1") as (_, port):
            assert await say(port, b"1") == b"a:1"

    asyncio.run(main())


class Echo(asyncio.DatagramProtocol):
    def __init__(self, name: bytes) -> None:
        self.name = name

    def connection_made(self, transport) -> None:
        self.transport = transport

    def datagram_received(self, data, addr) -> None:
        self.transport.sendto(self.name + data, addr)


@asynccontextmanager
async def udp_backend(name: bytes):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: Echo(name), ("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")
    finally:
        transport.close()


async def ask(sock: socket.socket, data: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, data)
    return await asyncio.wait_for(loop.sock_recv(sock, 1000), 10)


def client(family: int, address: str, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setblocking(False)
    sock.connect((address, port))
    return sock


@pytest.mark.parametrize(("bind", "reach"), [("0.0.0.0", "127.0.0.7"), ("::", "::1"), ("127.0.0.1", "127.0.0.1")])
def test_datagrams_are_answered_from_the_address_they_were_sent_to(bind: str, reach: str):
    async def main() -> None:
        async with udp_backend(b"a:") as a, proxied("udp", a, host=bind) as (_, port):
            family = socket.AF_INET6 if ":" in reach else socket.AF_INET
            with closing(client(family, reach, port.host_port)) as sock:
                assert await ask(sock, b"1") == b"a:1"
                assert await ask(sock, b"2") == b"a:2"

    asyncio.run(main())


def test_a_flow_keeps_its_backend_until_that_is_gone():
    async def main() -> None:
        async with udp_backend(b"a:") as a, udp_backend(b"b:") as b, proxied("udp", a, b) as (proxy, port):
            with closing(client(socket.AF_INET, "127.0.0.1", port.host_port)) as sock:
                first = {await ask(sock, b"1") for _ in range(3)}
                assert len(first) == 1
                other = b if first == {b"a:1"} else a
                proxy.serve(port, (other,))
                assert await ask(sock, b"1") not in first

    asyncio.run(main())

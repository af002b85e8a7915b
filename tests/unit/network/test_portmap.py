"""Reservation of ports on loopback addresses."""

from __future__ import annotations

import os
import socket
from contextlib import closing

import pytest

from runtime.errors import Conflict, InvalidParameter
from runtime.network.portmap import PortTable, Reservation, adopt, parse_ports, reserve


@pytest.fixture
def table():
    made = PortTable()
    yield made
    for owner in ("a", "b", "c"):
        made.release(owner)


def one(table: PortTable, owner: str = "a", group: str = "", port: int = 0) -> Reservation:
    return table.acquire(owner, group, "tcp", "127.0.0.1", range(port, port + 1))[0]


@pytest.mark.parametrize(("text", "ports"), [("80", range(80, 81)), ("", range(1)), ("8000-8010", range(8000, 8011))])
def test_ports_are_a_number_a_range_or_left_to_the_kernel(text: str, ports: range):
    assert parse_ports(text) == ports


@pytest.mark.parametrize("text", ["x", "70000", "-1", "20-10", "1-x"])
def test_other_port_texts_are_refused(text: str):
    with pytest.raises(InvalidParameter, match="host port"):
        parse_ports(text)


def test_a_reserved_port_accepts_and_is_taken_for_others(table: PortTable):
    reservation = one(table)
    with closing(socket.create_connection(("127.0.0.1", reservation.host_port))):
        pass
    assert reservation.key == f"port/tcp/127.0.0.1/{reservation.host_port}"
    with pytest.raises(Conflict, match="port is already allocated by a$"):
        one(table, "b", port=reservation.host_port)


def test_members_of_a_group_share_a_port_until_the_last_leaves(table: PortTable):
    reservation = one(table, "a", "web")
    assert one(table, "b", "web", reservation.host_port) is reservation
    with pytest.raises(Conflict, match="already allocated by a, b"):
        one(table, "c", "other", reservation.host_port)
    assert table.release("a") == []
    assert table.held(reservation.key)
    assert table.release("b") == [reservation.key]
    assert reservation.sock.fileno() == -1


def test_a_process_that_holds_the_port_is_named():
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = other.getsockname()[1]
        with pytest.raises(Conflict) as caught:
            reserve("tcp", "127.0.0.1", range(port, port + 1))
    assert caught.value.message.startswith(f"Bind for 127.0.0.1:{port} failed: port is already allocated by ")
    assert f"(pid {os.getpid()})" in caught.value.message
    assert "python" in caught.value.fields["holder"]


def test_a_udp_holder_is_named_too():
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        with pytest.raises(Conflict, match=f"pid {os.getpid()}"):
            reserve("udp", "127.0.0.1", range(port, port + 1))


def test_a_range_gives_the_first_free_port_and_ends(table: PortTable):
    first = one(table)
    ports = range(first.host_port, first.host_port + 2)
    try:
        second = table.acquire("b", "", "tcp", "127.0.0.1", ports)[0]
    except Conflict:
        pytest.skip("the next port happens to be taken")
    assert second.host_port == first.host_port + 1
    with pytest.raises(Conflict, match="all ports are already allocated"):
        table.acquire("c", "", "tcp", "127.0.0.1", ports)


def test_no_address_means_one_port_on_both_families(table: PortTable):
    both = table.acquire("a", "", "tcp", "", range(1))
    assert len({item.host_port for item in both}) == 1
    assert both[0].host_ip == "0.0.0.0"
    if socket.has_ipv6 and os.path.exists("/proc/net/if_inet6"):
        assert [item.host_ip for item in both] == ["0.0.0.0", "::"]


def test_an_address_of_another_host_is_refused():
    with pytest.raises(InvalidParameter, match="this host has no such address"):
        reserve("tcp", "203.0.113.1", range(8080, 8081))


def test_sctp_is_refused():
    with pytest.raises(InvalidParameter, match="only tcp and udp"):
        reserve("sctp", "", range(1))


def test_a_stored_socket_is_taken_up_again(table: PortTable):
    kept = reserve("tcp", "127.0.0.1", range(1))[0]
    again = adopt(kept.key, os.dup(kept.sock.fileno()))
    kept.sock.close()
    assert table.adopt("a", "web", again) is again
    double = adopt(again.key, os.dup(again.sock.fileno()))
    assert table.adopt("b", "web", double) is again
    assert double.sock.fileno() == -1
    assert one(table, "c", "web", again.host_port) is again

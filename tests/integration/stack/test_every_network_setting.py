"""Settings of networks, addresses, names and ports as seen from inside containers, all in one stack, as Docker has them."""

from __future__ import annotations

import ipaddress
import random
import secrets
import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.stack import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

SUBNET = f"10.{random.randint(100, 250)}.{random.randint(1, 250)}"
BRIDGE = f"pyt{secrets.token_hex(4)}"
ANSWER = "$$s=IO::Socket::INET->new(LocalPort=>7001,Listen=>5);while($$c=$$s->accept){print $$c qq(hello\\n);close $$c}"
FILE = """
    x-own: &own {image: localhost/host, command: sleep 1000, init: true, stop_grace_period: 0s}
    x-server: &server {image: localhost/host, init: true, stop_grace_period: 0s, command: [perl, -MIO::Socket::INET, -e, '%(answer)s']}
    services:
      base: {<<: *server, networks: {default: {aliases: [first, both]}, pool: {aliases: [second, both]}}}
      leaf:
        <<: *own
        depends_on: {base: {condition: service_started, restart: true}}
        links: [base, "base:linked"]
        external_links: ["%(project)s-base-1:foreign"]
      pooled: {<<: *own, networks: [pool]}
      fixed: {<<: *own, networks: {pool: {ipv4_address: %(subnet)s.7, link_local_ips: [169.254.8.8]}}}
      named: {<<: *own, networks: {named: , attached: }}
      loud: {<<: *server, networks: [quiet]}
      quiet: {<<: *own, networks: [quiet]}
      inside: {<<: *server, networks: [closed]}
      beside: {<<: *own, networks: [closed]}
      published:
        <<: *server
        networks: [local]
        ports:
          - "%(port)s:7001"
          - "7001"
          - "7001-7002:7003/udp"
          - "127.0.0.2::7004-7005"
          - {target: 7006, host_ip: "::1", protocol: udp}
      onhost: {<<: *own, network_mode: host, extra_hosts: ["outside:host-gateway"]}
    networks:
      pool:
        ipam:
          config: [{subnet: %(subnet)s.0/24, ip_range: %(subnet)s.128/29, gateway: %(subnet)s.250, aux_addresses: {a: %(subnet)s.128, b: %(subnet)s.129}}]
      named: {driver_opts: {com.docker.network.bridge.name: %(bridge)s, com.docker.network.container_iface_prefix: lan}}
      attached: {attachable: true, labels: {what: this}}
      quiet: {driver_opts: {com.docker.network.bridge.enable_icc: "false"}}
      closed: {internal: true}
      local: {driver_opts: {com.docker.network.bridge.host_binding_ipv4: 127.0.0.1}}
"""


@pytest.fixture(scope="module")
def lan(module_stack: Stack) -> Iterator[Stack]:
    values = {
        "answer": ANSWER,
        "project": module_stack.project,
        "subnet": SUBNET,
        "bridge": BRIDGE,
        "port": free_port(),
    }
    module_stack.compose(FILE % values)
    module_stack.run("up", "-d")
    yield module_stack
    module_stack.run("down", "-v", "-t", "0")
    assert BRIDGE not in _links()


def _links() -> set[str]:
    return {name for _, name in socket.if_nameindex()}


def _ask(lan: Stack, service: str, host: str) -> str:
    """What a program in `service` is answered by the server `host`; empty if it is not reached."""
    return lan.exec(service, "timeout", "1", "bash", "-c", f"cat </dev/tcp/{host}/7001", ok=False).out.strip()


def _address(lan: Stack, service: str, network: str) -> str:
    return str(lan.inspect(f"{service}-1")["NetworkSettings"]["Networks"][f"{lan.project}_{network}"]["IPAddress"])


def _bound(lan: Stack, port: str) -> list[dict[str, Any]]:
    return list(lan.inspect("published-1")["NetworkSettings"]["Ports"][port])


def test_addresses_come_from_the_range_and_not_from_what_is_set_aside(lan: Stack) -> None:
    free = ipaddress.ip_network(f"{SUBNET}.128/29")
    for service in ("base", "pooled"):
        address = _address(lan, service, "pool")
        assert ipaddress.ip_address(address) in free
        assert address not in (f"{SUBNET}.128", f"{SUBNET}.129")
    assert f"default via {SUBNET}.250 dev eth0" in lan.exec("pooled", "ip", "route").out


def test_a_fixed_address_may_lie_outside_of_the_range_and_link_local_ones_beside_it(lan: Stack) -> None:
    shown = lan.exec("fixed", "ip", "-o", "addr", "show", "eth0").out
    assert f"{SUBNET}.7/24" in shown
    assert "169.254.8.8/16" in shown


def test_a_bridge_has_the_name_and_interfaces_the_beginning_that_were_asked_for(lan: Stack) -> None:
    assert BRIDGE in _links()
    shown = lan.exec("named", "ip", "-o", "link").out
    assert " lan0" in shown
    assert " eth0" in shown


def test_names_of_a_container_on_several_networks(lan: Stack) -> None:
    for name in ("base", "first", "both", "linked", "foreign"):
        assert _ask(lan, "leaf", name) == "hello"
    assert not _ask(lan, "leaf", "second")
    for name in ("base", "second", "both"):
        assert _ask(lan, "pooled", name) == "hello"
    assert not _ask(lan, "pooled", "first")
    assert lan.exec("pooled", "getent", "hosts", "both").out.split()[0] == _address(lan, "base", "pool")


def test_who_depends_with_restart_is_restarted_with_what_it_depends_on(lan: Stack) -> None:
    began = lan.inspect("leaf-1")["State"]["StartedAt"]
    others = lan.inspect("pooled-1")["State"]["StartedAt"]
    lan.run("restart", "-t", "0", "base")
    assert lan.inspect("leaf-1")["State"]["StartedAt"] != began
    assert lan.inspect("pooled-1")["State"]["StartedAt"] == others


def test_an_internal_network_leads_to_its_members_only(lan: Stack) -> None:
    assert _ask(lan, "beside", "inside") == "hello"
    assert "default" not in lan.exec("beside", "ip", "route").out


def test_members_of_a_network_may_be_kept_apart(lan: Stack) -> None:
    assert not _ask(lan, "quiet", _address(lan, "loud", "quiet"))
    assert lan.exec("quiet", "getent", "hosts", "loud").lines


def test_what_a_network_is_like_is_on_record(lan: Stack) -> None:
    version = "" if lan.is_peer else "/v1"
    found = lan.api(f"{version}/networks/{lan.project}_attached")
    assert (found["Attachable"], found["Internal"], found["Labels"]["what"]) == (True, False, "this")
    pool = lan.api(f"{version}/networks/{lan.project}_pool")["IPAM"]["Config"][0]
    assert (pool["IPRange"], pool["AuxiliaryAddresses"]["a"]) == (f"{SUBNET}.128/29", f"{SUBNET}.128")


def test_ports_are_published_where_they_were_told_to(lan: Stack) -> None:
    assert [each["HostIp"] for each in _bound(lan, "7001/tcp")] == ["127.0.0.1", "127.0.0.1"]
    for port, host in (("7004/tcp", "127.0.0.2"), ("7005/tcp", "127.0.0.2"), ("7006/udp", "::1")):
        (one,) = _bound(lan, port)
        assert (one["HostIp"], int(one["HostPort"]) > 1023) == (host, True)
    (range_,) = _bound(lan, "7003/udp")
    assert (range_["HostIp"], range_["HostPort"] in ("7001", "7002")) == ("127.0.0.1", True)
    with socket.create_connection(("127.0.0.1", int(_bound(lan, "7001/tcp")[0]["HostPort"])), 2) as peer:
        assert peer.recv(16) == b"hello\n"


def test_the_host_has_a_name_on_its_own_network_too(lan: Stack) -> None:
    address = lan.exec("onhost", "getent", "hosts", "outside").out.split()[0]
    assert ipaddress.ip_address(address).is_private or ipaddress.ip_address(address).is_loopback

"""The firewall's text: whole and as differences."""

from __future__ import annotations

import pytest

from runtime.errors import SystemFailure
from runtime.linux.nfnetlink import BaseChain, Chain
from runtime.network import foreign
from runtime.network.firewall import Firewall
from runtime.network.naming import bridge_name, host_interface_name, link_group, mac_address, mac_address_of
from runtime.network.ruleset import BridgeRules, PublishedPort, Rules, difference, remove, render

FRONT = BridgeRules(name="pycfront", subnets=("10.1.0.0/20", "fd00:1::/64"))
BACK = BridgeRules(name="pycback", subnets=("10.2.0.0/20",), internal=True)
PORT = PublishedPort(protocol="tcp", host_ip="0.0.0.0", host_port=8080)
LOCAL = PublishedPort(protocol="udp", host_ip="127.0.0.1", host_port=53)
ONE = (("10.1.0.2", 80),)
TWO = (("10.1.0.2", 80), ("10.1.0.3", 80))


def rules(*bridges: BridgeRules, ports: dict | None = None, **more: bool) -> Rules:
    return Rules(bridges={bridge.name: bridge for bridge in bridges}, ports=ports or {}, **more)


def test_a_whole_table_replaces_the_engines_own_and_names_no_other():
    text = render("ab12", rules(FRONT, BACK, ports={PORT: ONE, LOCAL: ONE}), "ip")
    assert text.startswith("add table ip pycompose_ab12\ndelete table ip pycompose_ab12\n")
    assert 'add element ip pycompose_ab12 home { "pycfront" . 10.1.0.0/20 }' in text
    assert 'add element ip pycompose_ab12 internal { "pycback" }' in text
    assert "masqueraded { 10.1.0.0/20 }" in text
    assert "masqueraded { 10.2.0.0/20 }" not in text
    assert "any_ports { tcp . 8080 : 10.1.0.2 . 80 }" in text
    assert " ports { 127.0.0.1 . udp . 53 : 10.1.0.2 . 80 }" in text
    assert "fd00:1::" not in text
    tables = {line.split()[3] for line in text.splitlines() if line.startswith(("add ", "delete "))}
    assert tables == {"pycompose_ab12"}


def test_the_ipv6_table_is_made_only_when_it_is_needed():
    assert not rules(BACK).uses("ip6")
    assert rules(FRONT).uses("ip6")
    text = render("ab12", rules(FRONT), "ip6")
    assert 'home { "pycfront" . fd00:1::/64 }' in text
    assert "10.1.0.0" not in text


def test_nothing_changed_is_nothing_to_do():
    same = rules(FRONT, ports={PORT: TWO})
    assert difference("ab12", same, same, "ip") == ""


def test_a_new_port_costs_one_element():
    text = difference("ab12", rules(FRONT), rules(FRONT, ports={PORT: ONE}), "ip")
    assert text == "add element ip pycompose_ab12 any_ports { tcp . 8080 : 10.1.0.2 . 80 }"


def test_a_second_backend_gets_a_chain_and_a_third_only_another_rule():
    first = rules(FRONT, ports={PORT: ONE})
    second = rules(FRONT, ports={PORT: TWO})
    third = rules(FRONT, ports={PORT: (*TWO, ("10.1.0.4", 80))})
    text = difference("ab12", first, second, "ip")
    assert "delete element ip pycompose_ab12 any_ports { tcp . 8080 }" in text
    assert "numgen inc mod 2 map { 0 : 10.1.0.2 . 80, 1 : 10.1.0.3 . 80 }" in text
    assert "any_groups { tcp . 8080 : jump port_tcp_8080_0.0.0.0 }" in text
    text = difference("ab12", second, third, "ip")
    assert len(text.splitlines()) == 2
    assert "numgen inc mod 3" in text
    text = difference("ab12", second, rules(FRONT), "ip")
    assert text.splitlines()[-1] == "delete chain ip pycompose_ab12 port_tcp_8080_0.0.0.0"


def test_foreign_forwarding_is_refused_only_on_request():
    assert 'iifname "docker0" accept' not in render("ab12", rules(FRONT), "ip")
    text = render("ab12", rules(FRONT, refuse_foreign=True), "ip")
    assert 'iifname "docker0" accept' in text


def test_loopback_of_ipv6_is_left_to_the_proxy():
    assert "ip6 daddr != ::1 fib daddr type local jump publish" in render("ab12", rules(FRONT), "ip6")


class FakeNft:
    def __init__(self) -> None:
        self.ran: list[str] = []
        self.fail_next = False
        self.listing = ""

    def run(self, commands: str) -> str:
        if self.fail_next:
            self.fail_next = False
            raise SystemFailure("nftables: no such file or directory")
        self.ran.append(commands)
        return self.listing if commands.startswith("list") else ""


def firewall(nft: FakeNft) -> Firewall:
    return Firewall(nft, None, "ab12")  # type: ignore[arg-type]


def test_changes_are_collected_and_applied_in_one_transaction():
    nft = FakeNft()
    wall = firewall(nft)
    wall.apply()
    assert not nft.ran
    wall.set_bridge(BACK)
    wall.apply()
    wall.publish(PORT, ONE)
    wall.publish(LOCAL, ONE)
    wall.set_bridge(BACK)
    wall.apply()
    wall.apply()
    assert len(nft.ran) == 2
    assert nft.ran[0].startswith("add table")
    assert len(nft.ran[1].splitlines()) == 2


def test_udp_ports_that_changed_have_stale_flows_once():
    wall = firewall(FakeNft())
    wall.publish(LOCAL, ONE)
    wall.publish(PORT, ONE)
    wall.apply()
    assert wall.take_stale() == {LOCAL}
    assert not wall.take_stale()
    wall.publish(LOCAL, ())
    wall.apply()
    assert wall.take_stale() == {LOCAL}


def test_tables_that_somebody_flushed_are_written_anew():
    nft = FakeNft()
    wall = firewall(nft)
    wall.set_bridge(FRONT)
    wall.apply()
    nft.fail_next = True
    wall.publish(PORT, ONE)
    wall.apply()
    assert nft.ran[-1].startswith("add table")
    assert "8080" in nft.ran[-1]


def test_removal_names_our_tables_only():
    assert {line.split()[-1] for line in remove("ab12").splitlines()} == {"pycompose_ab12"}


DOCKER = [
    BaseChain(2, "filter", "FORWARD", "forward", True),
    Chain(2, "filter", "DOCKER-USER"),
]


def test_docker_gets_a_rule_per_direction_before_its_return():
    nft = FakeNft()
    nft.listing = "table ip filter {\n\tchain DOCKER-USER {\n\t\tcounter packets 0 bytes 0 return # handle 7\n\t}\n}\n"
    foreign.accept_bridges(nft, DOCKER, ["pyc1"])
    assert nft.ran[-1].splitlines() == [
        'insert rule ip filter DOCKER-USER position 7 iifname "pyc1" counter accept',
        'insert rule ip filter DOCKER-USER position 7 oifname "pyc1" counter accept',
    ]


def test_what_is_there_is_not_added_again_and_only_ours_is_removed():
    nft = FakeNft()
    nft.listing = (
        'iifname "pyc1" counter packets 5 bytes 9 accept # handle 8\n'
        'oifname "pyc1" counter packets 5 bytes 9 accept # handle 9\n'
        'iifname "eth0" accept # handle 10\n'
    )
    foreign.accept_bridges(nft, DOCKER, ["pyc1"])
    assert len(nft.ran) == 1
    foreign.forget_bridges(nft, DOCKER, ["pyc1"])
    assert nft.ran[-1].splitlines() == [
        "delete rule ip filter DOCKER-USER handle 8",
        "delete rule ip filter DOCKER-USER handle 9",
    ]


def test_without_docker_nothing_foreign_is_touched_and_a_culprit_is_named():
    nft = FakeNft()
    chains = [BaseChain(1, "firewalld", "filter_FORWARD", "forward", True)]
    foreign.accept_bridges(nft, chains, ["pyc1"])
    foreign.accept_bridges(nft, [BaseChain(2, "filter", "FORWARD", "forward", False), DOCKER[1]], ["pyc1"])
    assert not nft.ran
    assert foreign.culprits(chains) == [
        "chain filter_FORWARD of table inet firewalld drops forwarded packets by default"
    ]
    assert foreign.culprits(DOCKER) == []


@pytest.mark.parametrize("name", [bridge_name("ab12cd34", "f" * 64), host_interface_name("ab12cd34", "e" * 64)])
def test_interface_names_fit_and_carry_the_engines_id(name: str):
    assert len(name) <= 15
    assert "ab12" in name


def test_mac_addresses_follow_ipv4_and_groups_are_never_zero():
    assert mac_address("10.0.1.255") == "02:42:0a:00:01:ff"
    assert mac_address_of("x") == mac_address_of("x")
    assert link_group("a", "b") > 0

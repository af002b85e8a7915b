"""Who reaches whom: the matrix of promises, on a host of its own with a neighbour on the LAN."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from runtime.errors import SystemFailure
from runtime.linux.nft import NftProgram
from runtime.network import bridge, foreign
from runtime.network.firewall import Firewall, Watch
from runtime.network.ruleset import BridgeRules, PublishedPort
from tests.integration.network.lab import BLOCKED, LAN_HOST, LAN_HOST6, LAN_PEER, LAN_PEER6, wait_for

if TYPE_CHECKING:
    from tests.integration.network.lab import Lab

pytestmark = pytest.mark.root


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_the_matrix_of_ipv4(lab: Lab, protocol: str):
    front, back, inner = lab.network("front", 1), lab.network("back", 2), lab.network("inner", 3, internal=True)
    web, web2 = lab.container("web", front, 2), lab.container("web2", front, 3)
    db = lab.container("db", back, 2)
    deep, deep2 = lab.container("deep", inner, 2), lab.container("deep2", inner, 3)
    lan = lab.neighbour()
    for node in (web, web2, db, deep, deep2, lan):
        lab.serve(node, 80, protocol=protocol)
    lab.serve(None, 9000, protocol=protocol)
    lab.publish(8080, (web, 80), protocol=protocol)
    lab.publish(8081, (web, 80), host_ip="127.0.0.1", protocol=protocol)
    lab.firewall.apply()
    front_gateway = "10.1.0.1"
    expected = {
        "same network": ((web2, web.address, 80), "web 10.1.0.3"),
        "same internal network": ((deep2, deep.address, 80), "deep 10.3.0.3"),
        "other network": ((db, web.address, 80), BLOCKED),
        "other network, back": ((web, db.address, 80), BLOCKED),
        "internal from other": ((web, deep.address, 80), BLOCKED),
        "other from internal": ((deep, web.address, 80), BLOCKED),
        "other network, published, LAN address": ((db, LAN_HOST, 8080), "web 10.1.0.1"),
        "other network, published, gateway address": ((db, front_gateway, 8080), "web 10.1.0.1"),
        "same network, published": ((web2, LAN_HOST, 8080), "web 10.1.0.1"),
        "itself, published": ((web, LAN_HOST, 8080), "web 10.1.0.1"),
        "other network, published on loopback": ((db, LAN_HOST, 8081), BLOCKED),
        "internal to outside": ((deep, LAN_PEER, 80), BLOCKED),
        "internal to LAN address": ((deep, LAN_HOST, 8080), BLOCKED),
        "internal to published at own gateway": ((deep, "10.3.0.1", 8080), BLOCKED),
        "internal to the host's LAN address": ((deep, LAN_HOST, 9000), BLOCKED),
        "internal to the host's address on its network": ((deep, "10.3.0.1", 9000), "host 10.3.0.2"),
        "container to the host": ((web, front_gateway, 9000), "host 10.1.0.2"),
        "egress": ((web, LAN_PEER, 80), f"lan {LAN_HOST}"),
        "host to loopback": ((None, "127.0.0.1", 8080), "web 10.1.0.1"),
        "host to loopback-published": ((None, "127.0.0.1", 8081), "web 10.1.0.1"),
        "host to its LAN address": ((None, LAN_HOST, 8080), f"web {LAN_HOST}"),
        "host to container": ((None, web.address, 80), "web 10.1.0.1"),
        "host to internal container": ((None, deep.address, 80), "deep 10.3.0.1"),
        "LAN to published, source kept": ((lan, LAN_HOST, 8080), f"web {LAN_PEER}"),
        "LAN to loopback-published": ((lan, LAN_HOST, 8081), BLOCKED),
        "LAN, routed, unpublished port": ((lan, db.address, 80), BLOCKED),
        "LAN, routed, published container": ((lan, web.address, 80), BLOCKED),
        "LAN, routed, internal": ((lan, deep.address, 80), BLOCKED),
    }
    assert _surprises(lab, expected, protocol) == {}


def _surprises(lab: Lab, expected: dict, protocol: str) -> dict[str, str]:
    """Rows that came out otherwise; those that must pass get time, the blocked ones only a moment."""
    found = {}
    for blocked, patience in ((False, 10), (True, 0.5)):
        rows = {name: probe for name, (probe, answer) in expected.items() if (answer == BLOCKED) == blocked}
        answers = lab.reach_all(*rows.values(), protocol=protocol, patience=patience)
        found.update(zip(rows, answers, strict=True))
    return {name: found[name] for name in expected if found[name] != expected[name][1]}


def test_the_matrix_of_ipv6(lab: Lab):
    front, back = lab.network("front", 1, ipv6=True), lab.network("back", 2, ipv6=True)
    web, web2, db = lab.container("web", front, 2), lab.container("web2", front, 3), lab.container("db", back, 2)
    lan = lab.neighbour()
    for node in (web, web2, db, lan):
        lab.serve(node, 80)
    lab.publish(8080, (web, 80), host_ip="::")
    lab.firewall.apply()
    expected = {
        "same network": ((web2, web.address6, 80), "web fd00:1::3"),
        "other network": ((db, web.address6, 80), BLOCKED),
        "other network, back": ((web, db.address6, 80), BLOCKED),
        "other network, published": ((db, LAN_HOST6, 8080), "web fd00:1::1"),
        "itself, published": ((web, LAN_HOST6, 8080), "web fd00:1::1"),
        "egress": ((web, LAN_PEER6, 80), f"lan {LAN_HOST6}"),
        "host to its own address": ((None, LAN_HOST6, 8080), f"web {LAN_HOST6}"),
        "host to container": ((None, web.address6, 80), "web fd00:1::1"),
        "LAN to published, source kept": ((lan, LAN_HOST6, 8080), f"web {LAN_PEER6}"),
        "LAN, routed": ((lan, web.address6, 80), BLOCKED),
    }
    assert _surprises(lab, expected, "tcp") == {}


def test_nobody_reaches_the_hosts_loopback_by_forging_its_address(plain_lab: Lab):
    """route_localnet is on for bridges: without a guard this would be CVE-2020-8558."""
    lab = plain_lab
    web = lab.container("web", lab.network("front", 1), 2)
    lan = lab.neighbour()
    lab.serve(None, 9000, protocol="udp")
    lab.serve(web, 80, protocol="udp")
    lab.publish(8081, (web, 80), host_ip="127.0.0.1", protocol="udp")
    for node in (web, lan):
        assert node.netns
    lab.firewall.apply()
    # the containers' and the neighbour's route to 127.0.0.0/8 leads to the host: their own local table is emptied
    with _forging(lab, web, lan):
        probes = [(node, "127.0.0.1", port) for node in (web, lan) for port in (9000, 8081)]
        assert lab.reach_all(*probes, protocol="udp") == [BLOCKED] * 4


class _forging:
    """Nodes whose 127.0.0.0/8 is not local but behind the host."""

    def __init__(self, lab: Lab, *nodes) -> None:
        self.lab, self.nodes = lab, nodes

    def __enter__(self) -> None:
        import subprocess

        from tests.integration.network.lab import inside

        for node in self.nodes:
            gateway = LAN_HOST if node.name == "lan" else "10.1.0.1"
            with inside(node.netns):
                with open("/proc/sys/net/ipv4/conf/all/route_localnet", "w") as file:
                    file.write("1")
                script = (
                    "ip addr del 127.0.0.1/8 dev lo; ip route flush table local 127.0.0.0/8; "
                    f"ip route add 127.0.0.0/8 via {gateway} dev eth0 src {node.address}"
                )
                subprocess.run(script, shell=True, check=True, capture_output=True)

    def __exit__(self, *_: object) -> None:
        return


def test_connections_are_dealt_out_evenly_over_three_backends(plain_lab: Lab):
    lab = plain_lab
    front = lab.network("front", 1)
    webs = [lab.container(f"web{n}", front, n + 2) for n in range(3)]
    for web in webs:
        lab.serve(web, 80)
    lab.publish(8080, *((web, 80) for web in webs))
    lab.firewall.apply()
    answers = [lab.reach(None, "127.0.0.1", 8080).split()[0] for _ in range(30)]
    assert [answers.count(f"web{n}") for n in range(3)] == [10, 10, 10]
    lab.publish(8080, (webs[1], 80))
    lab.firewall.apply()
    assert {lab.reach(None, "127.0.0.1", 8080).split()[0] for _ in range(5)} == {"web1"}
    lab.publish(8080)
    lab.firewall.apply()
    assert lab.reach(None, "127.0.0.1", 8080, patience=0.2) == BLOCKED


def test_a_udp_flow_follows_its_port_to_a_new_container(plain_lab: Lab):
    from runtime.network.firewall import forget_flows

    lab = plain_lab
    front = lab.network("front", 1)
    old, new = lab.container("old", front, 2), lab.container("new", front, 3)
    for node in (old, new):
        lab.serve(node, 53, protocol="udp")
    lab.publish(5300, (old, 53), protocol="udp")
    lab.firewall.apply()
    flow = lab.start(None, "127.0.0.1", 5300, "udp").sock
    flow.setblocking(True)
    flow.settimeout(5)
    assert flow.recv(100).startswith(b"old")
    lab.publish(5300, (new, 53), protocol="udp")
    lab.firewall.apply()
    forget_flows(lab.firewall.take_stale())
    flow.send(b"?")
    assert flow.recv(100).startswith(b"new")
    flow.close()


def test_isolated_ports_of_a_bridge_do_not_talk_to_each_other(lab: Lab):
    front = lab.network("front", 1)
    one, two = (lab.container(f"c{n}", front, n + 2, isolated=True) for n in range(2))
    lab.serve(two, 80)
    lab.firewall.apply()
    assert lab.reach(None, two.address, 80) == "c1 10.1.0.1"
    assert lab.reach(one, two.address, 80, patience=0.5) == BLOCKED


DOCKER = """
table ip filter {
  chain DOCKER-USER { counter return; }
  chain FORWARD { type filter hook forward priority filter; policy drop; jump DOCKER-USER; }
}
"""


def test_dockers_forward_policy_is_passed_by_one_rule_a_bridge_and_direction(lab: Lab):
    front = lab.network("front", 1)
    web, web2 = lab.container("web", front, 2), lab.container("web2", front, 3)
    lan = lab.neighbour()
    for node in (web, lan):
        lab.serve(node, 80)
    lab.publish(8080, (web, 80))
    lab.firewall.apply()
    lab.nft.run(DOCKER)
    before = lab.nft.run("list table ip filter")
    probes = [(web, LAN_PEER, 80), (lan, LAN_HOST, 8080)]
    assert lab.reach_all(*probes) == [BLOCKED, BLOCKED]
    foreign.accept_bridges(lab.nft, lab.netfilter.chains(), ["pycfront"])
    foreign.accept_bridges(lab.nft, lab.netfilter.chains(), ["pycfront"])
    assert lab.nft.run("list chain ip filter DOCKER-USER").count("accept") == 2
    probes = [(web, LAN_PEER, 80), (lan, LAN_HOST, 8080), (web2, web.address, 80)]
    assert lab.reach_all(*probes, patience=3) == [f"lan {LAN_HOST}", f"web {LAN_PEER}", "web 10.1.0.3"]
    assert foreign.culprits(lab.netfilter.chains()) == []
    assert foreign.accepted_bridges(lab.nft, lab.netfilter.chains()) == {"pycfront"}
    foreign.forget_bridges(lab.nft, lab.netfilter.chains(), ["pycfront"])
    assert _without_counters(lab.nft.run("list table ip filter")) == _without_counters(before)


def _without_counters(text: str) -> str:
    import re

    return re.sub(r"packets \d+ bytes \d+", "", text)


def test_a_user_rule_before_ours_still_drops(plain_lab: Lab):
    lab = plain_lab
    web = lab.container("web", lab.network("front", 1), 2)
    lan = lab.neighbour()
    lab.serve(web, 80)
    lab.publish(8080, (web, 80))
    lab.firewall.apply()
    lab.nft.run(DOCKER)
    lab.nft.run(f"insert rule ip filter DOCKER-USER ip saddr {LAN_PEER} drop")
    foreign.accept_bridges(lab.nft, lab.netfilter.chains(), ["pycfront"])
    assert lab.reach(lan, LAN_HOST, 8080, patience=0.4) == BLOCKED


def test_other_tables_are_left_as_they_are_and_ours_vanish(plain_lab: Lab):
    lab = plain_lab
    lab.nft.run(
        "add table ip pycompose_other; add chain ip pycompose_other x; add rule ip pycompose_other x counter; "
        "add table inet mine; add chain inet mine y; add rule inet mine y drop"
    )
    before = lab.nft.run("list ruleset")
    web = lab.container("web", lab.network("front", 1, ipv6=True), 2)
    lab.publish(8080, (web, 80))
    lab.firewall.apply()
    assert "pycompose_ab12" in lab.nft.run("list ruleset")
    lab.firewall.remove()
    bridge.remove(lab.route, list(lab.networks.values()))
    assert _without_counters(lab.nft.run("list ruleset")) == _without_counters(before)
    assert [link.name for link in lab.route.links() if link.name != "lo"] == []


def test_flushed_tables_are_noticed_and_put_back(plain_lab: Lab):
    lab = plain_lab
    web = lab.container("web", lab.network("front", 1), 2)
    lab.serve(web, 80)
    lab.publish(8080, (web, 80))
    watch = Watch("ab12")
    lab.firewall.apply()
    watch.lost()
    assert not watch.lost()
    assert lab.firewall.intact()
    lab.nft.run("flush ruleset")
    wait_for(watch.lost)
    assert not lab.firewall.intact()
    lab.firewall.restore()
    assert lab.firewall.intact()
    assert lab.reach(None, "127.0.0.1", 8080) == "web 10.1.0.1"
    watch.close()


def test_forwarding_that_is_not_ours_is_refused_on_request(plain_lab: Lab):
    lab = plain_lab
    front = lab.network("front", 1)
    web = lab.container("web", front, 2)
    lan = lab.neighbour()
    # a second stretch of LAN behind the host: neither end is a network of ours
    lab.networks["other"] = bridge.NetworkSpec(bridge="lan1", group=77, gateways=(("10.9.0.1", 24),))
    bridge.create(lab.route, lab.networks["other"])
    behind = lab.container("behind", "other", 2)
    for node in (web, lan, behind):
        lab.serve(node, 80)
    lab.publish(8080, (web, 80))
    lab.firewall.apply()
    assert lab.reach(lan, behind.address, 80) == f"behind {LAN_PEER}"
    lab.firewall.refuse_foreign(True)
    lab.firewall.apply()
    assert lab.reach_all((lan, LAN_HOST, 8080), (web, LAN_PEER, 80), patience=5) == [
        f"web {LAN_PEER}",
        f"lan {LAN_HOST}",
    ]
    assert lab.reach(lan, behind.address, 80, patience=0.5) == BLOCKED


def test_the_nft_program_serves_where_the_library_is_missing(plain_lab: Lab):
    lab = plain_lab
    web = lab.container("web", lab.network("front", 1), 2)
    lab.serve(web, 80)
    lab.firewall = Firewall(NftProgram(), lab.netfilter, "ab12")
    lab.firewall.set_bridge(BridgeRules(name="pycfront", subnets=("10.1.0.0/24",)))
    lab.publish(8080, (web, 80))
    lab.firewall.apply()
    assert lab.reach(None, "127.0.0.1", 8080) == "web 10.1.0.1"
    assert "# handle" in NftProgram().run("list table ip pycompose_ab12")
    with pytest.raises(SystemFailure, match="nftables: syntax error"):
        NftProgram().run("nonsense")


def test_changes_cost_little(plain_lab: Lab):
    """The published port of one container in a stack: well below what an operator would notice."""
    lab = plain_lab
    web = lab.container("web", lab.network("front", 1), 2)
    lab.firewall.apply()
    took = []
    for number in range(20):
        lab.firewall.publish(
            PublishedPort(protocol="tcp", host_ip="0.0.0.0", host_port=9000 + number), ((web.address, 80),)
        )
        begin = time.perf_counter()
        lab.firewall.apply()
        took.append(time.perf_counter() - begin)
    assert min(took) < 0.002

"""Hand-encoded netlink messages, with pyroute2 as the oracle."""

from __future__ import annotations

import socket

import pytest

from runtime.linux import conntrack, netlink, nfnetlink, rtnetlink

pytest.importorskip("pyroute2")
from pyroute2.netlink.nfnetlink import nfgen_msg
from pyroute2.netlink.nfnetlink.nftsocket import nft_chain_msg, nft_rule_msg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg


def decoded(kind: type, message: netlink.Message):
    made = kind(netlink.encode(message.kind, message.flags, 1, message.body))
    made.decode()
    return made


def test_a_veth_is_read_by_the_oracle_as_meant():
    message = rtnetlink.new_veth("pyv1", "eth0", netns_fd=7, peer_mac="02:42:0a:00:00:02", mtu=1400, master=5, group=9)
    link = decoded(ifinfmsg, message)
    assert (link["flags"], link["change"]) == (1, 1)
    assert link.get_attr("IFLA_IFNAME") == "pyv1"
    assert link.get_attr("IFLA_MASTER") == 5
    assert link.get_attr("IFLA_GROUP") == 9
    info = link.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert peer["flags"] == 0
    assert peer.get_attr("IFLA_IFNAME") == "eth0"
    assert peer.get_attr("IFLA_ADDRESS") == "02:42:0a:00:00:02"
    assert peer.get_attr("IFLA_NET_NS_FD") == 7
    assert peer.get_attr("IFLA_MTU") == 1400


def test_a_bridge_and_its_port_options_are_read_as_meant():
    link = decoded(ifinfmsg, rtnetlink.new_bridge("pyc1", mac="02:42:0a:00:00:01", mtu=1500, group=3))
    assert link.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_KIND") == "bridge"
    port = decoded(ifinfmsg, rtnetlink.set_bridge_port("pyv1", hairpin=True, isolated=True))
    data = port.get_attr("IFLA_LINKINFO").get_attr("IFLA_INFO_SLAVE_DATA")
    assert data.get_attr("IFLA_BRPORT_MODE") == 1
    assert data.get_attr("IFLA_BRPORT_ISOLATED") == 1


@pytest.mark.parametrize(("address", "prefix", "broadcast"), [("10.1.2.3", 20, "10.1.15.255"), ("fd00::2", 64, None)])
def test_addresses_are_read_as_meant(address: str, prefix: int, broadcast: str | None):
    made = decoded(ifaddrmsg, rtnetlink.new_address(4, address, prefix))
    assert (made["prefixlen"], made["index"]) == (prefix, 4)
    assert made.get_attr("IFA_LOCAL") == made.get_attr("IFA_ADDRESS") == address
    assert made.get_attr("IFA_BROADCAST") == broadcast


def test_routes_are_read_as_meant():
    made = decoded(rtmsg, rtnetlink.new_route(4, "10.0.0.1", metric=50))
    assert made.get_attr("RTA_GATEWAY") == "10.0.0.1"
    assert made.get_attr("RTA_OIF") == 4
    assert made.get_attr("RTA_PRIORITY") == 50
    assert made.get_attr("RTA_DST") is None
    made = decoded(rtmsg, rtnetlink.new_route(4, "", "fd00:9::", 48))
    assert (made.get_attr("RTA_DST"), made["dst_len"], made["scope"]) == ("fd00:9::", 48, 253)


def test_the_dns_redirect_is_read_as_meant():
    changes = nfnetlink.dns_redirect_changes(b"\xa5\x5a", b"\x5a\xa5", replace=False)
    chains = [body for kind, _, body in changes if kind & 0xFF == 3]
    rules = [body for kind, _, body in changes if kind & 0xFF == 6]
    assert (len(chains), len(rules)) == (2, 4)
    chain = nft_chain_msg(netlink.encode(0xA03, 0, 1, chains[0]))
    chain.decode()
    assert isinstance(chain, nfgen_msg)
    assert chain.get_attr("NFTA_CHAIN_NAME") == "output"
    assert chain.get_attr("NFTA_CHAIN_TYPE") == "nat"
    rule = nft_rule_msg(netlink.encode(0xA06, 0, 1, rules[0]))
    rule.decode()
    names = [item.get_attr("NFTA_EXPR_NAME") for item in rule.get_attr("NFTA_RULE_EXPRESSIONS")]
    assert names == ["payload", "cmp", "meta", "cmp", "payload", "cmp", "immediate", "immediate", "nat"]


def test_the_marks_of_ports_occur_where_ports_belong_and_nowhere_else():
    for replace in (False, True):
        batch = nfnetlink.encode_batch(nfnetlink.dns_redirect_changes(b"\xa5\x5a", b"\x5a\xa5", replace=replace))
        assert batch.count(b"\xa5\x5a") == batch.count(b"\x5a\xa5") == 2


def test_attributes_survive_a_round_trip_and_nonsense():
    data = netlink.text(3, "eth0") + netlink.u32(10, 7) + netlink.nested(18, netlink.u8(1, 1))
    found = netlink.attributes(data)
    assert found[3] == b"eth0\0"
    assert netlink.attributes(found[18])[1] == b"\1"
    assert b"\xff" * 3 in netlink.attributes(b"\xff" * 7).values()
    assert netlink.attributes(b"\0" * 8) == {}


def test_a_group_of_zero_is_never_deleted():
    with pytest.raises(ValueError, match="group 0"):
        rtnetlink.delete_group(0)


class FakeSocket:
    def __init__(self, *answers: bytes) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []

    def send(self, data: bytes) -> None:
        self.sent.append(data)

    def recv(self, size: int, flags: int = 0) -> bytes:
        return self.answers.pop(0)


def error(sequence: int, code: int) -> bytes:
    return netlink.encode(2, 0, sequence, (-code).to_bytes(4, "little", signed=True) + bytes(16))


def test_a_batch_ignores_what_its_messages_ignore_and_reports_the_first_other_error():
    made = netlink.Netlink.__new__(netlink.Netlink)
    made._sequence = 0
    made.sock = FakeSocket(error(9, 1) + error(1, 0) + error(2, 19), error(3, 17) + error(4, 22))
    batch = [
        rtnetlink.set_link_up("a"),
        rtnetlink.delete_link("b"),
        rtnetlink.new_bridge("c", mac="02:00:00:00:00:01", mtu=1500, group=1),
        rtnetlink.set_link_up("d"),
    ]
    with pytest.raises(netlink.NetlinkError, match="create bridge c: file exists") as caught:
        made.run(batch)
    assert caught.value.errno == 17
    assert len(made.sock.sent) == 1


def test_an_interrupted_dump_is_asked_for_again():
    made = netlink.Netlink.__new__(netlink.Netlink)
    made._sequence = 0
    link = rtnetlink._ifinfo(index=3) + netlink.text(3, "eth0")
    done = bytes(4)
    made.sock = FakeSocket(
        netlink.encode(16, 0x12, 1, link) + netlink.encode(3, 2, 1, done),
        netlink.encode(16, 2, 2, link) + netlink.encode(3, 2, 2, done),
    )
    assert len(made.ask(18, netlink.NLM_F_DUMP, b"", "links")) == 1
    assert len(made.sock.sent) == 2


def test_a_tracked_connection_is_named_by_the_tuple_it_was_listed_with():
    entry = netlink.nested(
        1, netlink.nested(1, netlink.attribute(1, b"\x0a\0\0\1")), netlink.nested(2, netlink.attribute(3, b"\x14\xe9"))
    )

    class Asked:
        def ask(self, *_: object) -> list[tuple[int, bytes]]:
            return [(0, bytes(4) + entry + netlink.attribute(12, b"\1\2\3\4"))]

        def run(self, batch: list[netlink.Message]) -> None:
            self.batch = batch

    sock = Asked()
    assert conntrack.forget_ports(sock, socket.AF_INET, 17, {5353}) == 1
    assert sock.batch[0].body[4:] == entry + netlink.attribute(12, b"\1\2\3\4")
    assert conntrack.forget_ports(sock, socket.AF_INET, 17, {53}) == 0

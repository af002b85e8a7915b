"""Subnets and addresses."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import Conflict, InvalidParameter
from runtime.network.ipam import Allocator, Pool, Taken, default_ipv6_pool, default_pool, host_routes, user_pool


def taken(subnet: str, holder: str = "network other") -> Taken:
    return Taken(subnet=ipaddress.ip_network(subnet), holder=holder)


def pool(subnet: str = "10.5.0.0/24", **config: object) -> Pool:
    return user_pool({"Subnet": subnet, **config}, [], "net")


def test_default_pools_hold_more_than_128_networks_of_more_than_300_addresses():
    used: list[Taken] = []
    for _ in range(200):
        found = default_pool(used)
        assert found.subnet.num_addresses > 300
        used.append(Taken(subnet=found.subnet, holder="x"))
    assert len({item.subnet for item in used}) == 200


def test_default_pools_keep_clear_of_host_routes_and_dns_servers():
    used = host_routes(
        [("172.24.0.0/16", "eth1"), ("0.0.0.0/0", "eth0"), ("fe80::/64", "eth0")], ["172.25.0.53", "127.0.0.53"]
    )
    assert default_pool(used).subnet == ipaddress.ip_network("172.25.16.0/20")


def test_exhausted_pools_are_a_conflict_in_dockers_words():
    with pytest.raises(Conflict, match="all predefined address pools have been fully subnetted"):
        default_pool([taken("10.0.0.0/24")], pools=("10.0.0.0/24",), prefix=24)


def test_default_ipv6_subnets_are_unique_local_and_distinct():
    first = default_ipv6_pool([], "ab12")
    second = default_ipv6_pool([Taken(subnet=first.subnet, holder="x")], "ab12")
    assert first.subnet.prefixlen == 64
    assert first.subnet.is_private
    assert not first.subnet.overlaps(second.subnet)


def test_a_user_subnet_gets_its_first_address_as_gateway():
    assert str(pool().gateway) == "10.5.0.1"
    assert str(pool(IPRange="10.5.0.128/25").gateway) == "10.5.0.128"
    assert str(pool(Gateway="10.5.0.254").gateway) == "10.5.0.254"
    assert str(pool("fd00:1::/64").gateway) == "fd00:1::1"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Subnet": "10.5.0.0"}, "no prefix length"),
        ({"Subnet": "10.5.0.0/33"}, "not a subnet"),
        ({"Subnet": "what/24"}, "not a subnet"),
        ({"Subnet": "10.5.0.7/24"}, "has host bits set, did you mean 10.5.0.0/24"),
        ({"Subnet": "10.5.0.0/31"}, "too small"),
        ({"Subnet": "127.0.0.0/24"}, "is reserved"),
        ({"Subnet": "10.5.0.0/24", "IPRange": "10.6.0.0/25"}, "ip_range 10.6.0.0/25 is not within subnet 10.5.0.0/24"),
        ({"Subnet": "10.5.0.0/24", "Gateway": "10.6.0.1"}, "gateway 10.6.0.1 is not within subnet"),
        ({"Subnet": "10.5.0.0/24", "Gateway": "10.5.0.255"}, "broadcast address"),
        ({"Subnet": "10.5.0.0/24", "AuxiliaryAddresses": {"nas": "nope"}}, "auxiliary address nas 'nope' is not an IP"),
    ],
)
def test_wrong_configuration_is_explained(config: dict, words: str):
    with pytest.raises(InvalidParameter, match=words):
        user_pool(config, [], "net")


def test_an_overlap_names_the_other():
    with pytest.raises(Conflict, match="subnet 10.5.0.0/24 overlaps with network shop_default"):
        user_pool({"Subnet": "10.5.0.0/24"}, [taken("10.0.0.0/8", "network shop_default")], "net")
    used = host_routes([("10.5.0.0/16", "eth1")])
    with pytest.raises(Conflict, match="route 10.5.0.0/16 on eth1"):
        user_pool({"Subnet": "10.5.0.0/24"}, used, "net")


def test_gateway_and_auxiliary_addresses_must_differ():
    with pytest.raises(Conflict, match="gateway 10.5.0.9 is also an auxiliary address"):
        pool(Gateway="10.5.0.9", AuxiliaryAddresses={"nas": "10.5.0.9"})
    with pytest.raises(Conflict, match="a and b are both"):
        pool(AuxiliaryAddresses={"a": "10.5.0.9", "b": "10.5.0.9"})


def test_the_wire_form_is_dockers():
    made = pool(IPRange="10.5.0.128/25", AuxiliaryAddresses={"nas": "10.5.0.9"})
    assert made.to_wire() == {
        "Subnet": "10.5.0.0/24",
        "Gateway": "10.5.0.128",
        "IPRange": "10.5.0.128/25",
        "AuxiliaryAddresses": {"nas": "10.5.0.9"},
    }


def test_addresses_are_the_lowest_free_ones_and_come_back():
    addresses = Allocator(pool(AuxiliaryAddresses={"nas": "10.5.0.3"}), "net")
    assert [addresses.allocate(f"c{n}") for n in range(3)] == ["10.5.0.2", "10.5.0.4", "10.5.0.5"]
    addresses.release("10.5.0.4")
    addresses.release("10.5.0.4")
    assert addresses.allocate("d") == "10.5.0.4"
    assert addresses.allocate("e") == "10.5.0.6"


def test_a_fixed_address_is_kept_and_conflicts_name_the_holder():
    addresses = Allocator(pool(), "net")
    assert addresses.allocate("container db", "10.5.0.2") == "10.5.0.2"
    assert addresses.allocate("container db", "10.5.0.2") == "10.5.0.2"
    assert addresses.allocate("container web") == "10.5.0.3"
    with pytest.raises(Conflict, match=r"address 10.5.0.2 is already in use by container db"):
        addresses.allocate("container web", "10.5.0.2")
    with pytest.raises(Conflict, match="in use by the gateway"):
        addresses.allocate("container web", "10.5.0.1")
    with pytest.raises(InvalidParameter, match="10.9.0.1 is not within subnet"):
        addresses.allocate("container web", "10.9.0.1")


def test_a_range_limits_what_is_given_out_but_not_what_may_be_asked_for():
    addresses = Allocator(pool(IPRange="10.5.0.64/30", Gateway="10.5.0.1"), "net")
    assert [addresses.allocate(str(n)) for n in range(4)] == [f"10.5.0.{n}" for n in (64, 65, 66, 67)]
    with pytest.raises(Conflict, match=r"no free address left in 10\.5\.0\.64/30"):
        addresses.allocate("one too many")
    assert addresses.allocate("x", "10.5.0.200") == "10.5.0.200"


def test_ipv6_addresses_do_not_walk_the_whole_subnet():
    addresses = Allocator(pool("fd00:1::/64"), "net")
    assert addresses.allocate("a") == "fd00:1::2"
    assert addresses.allocate("b", "fd00:1::ffff") == "fd00:1::ffff"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=80))
def test_no_address_is_ever_given_out_twice(steps: list[tuple[bool, int]]):
    addresses = Allocator(pool("10.5.0.0/27"), "net")
    held: list[str] = []
    for take, number in steps:
        if take:
            try:
                address = addresses.allocate(f"c{number}")
            except Conflict:
                assert len(held) == 29
                continue
            assert address not in held
            free = [f"10.5.0.{n}" for n in range(2, 31) if f"10.5.0.{n}" not in held]
            assert address == free[0]
            held.append(address)
        elif held:
            addresses.release(held.pop(number % len(held)))

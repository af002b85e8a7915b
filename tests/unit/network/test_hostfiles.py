"""/etc/hosts and /etc/resolv.conf."""

from __future__ import annotations

import pytest

from runtime.errors import InvalidParameter
from runtime.network import hostfiles


def test_hosts_has_dockers_lines_in_dockers_order():
    text = hostfiles.hosts(
        "web", "", ["172.24.0.2"], ["db:10.0.0.5", "host.docker.internal:host-gateway"], "172.24.0.1"
    )
    assert text.splitlines() == [
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::\tip6-localnet",
        "ff00::\tip6-mcastprefix",
        "ff02::1\tip6-allnodes",
        "ff02::2\tip6-allrouters",
        "10.0.0.5\tdb",
        "172.24.0.1\thost.docker.internal",
        "172.24.0.2\tweb",
    ]


def test_a_domain_makes_a_full_name_and_no_network_no_own_line():
    assert hostfiles.hosts("web", "example.org", ["10.0.0.2"], [], "").endswith("10.0.0.2\tweb.example.org web\n")
    assert hostfiles.hosts("web", "", [], [], "").endswith("ip6-allrouters\n")


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        ("a:1.2.3.4", ("a", "1.2.3.4")),
        ("a=1.2.3.4", ("a", "1.2.3.4")),
        ("a:::1", ("a", "::1")),
        ("a=[fd00::1]", ("a", "fd00::1")),
        ("a:host-gateway", ("a", "host-gateway")),
    ],
)
def test_extra_hosts_come_in_several_forms(entry: str, parts: tuple[str, str]):
    assert hostfiles.split_extra_host(entry) == parts


@pytest.mark.parametrize("entry", ["a", "a:", ":1.2.3.4", "a:nonsense"])
def test_a_malformed_extra_host_is_refused(entry: str):
    with pytest.raises(InvalidParameter, match="extra host"):
        hostfiles.split_extra_host(entry)


def test_host_gateway_without_a_gateway_is_refused():
    with pytest.raises(InvalidParameter, match="no gateway"):
        hostfiles.hosts("web", "", [], ["h:host-gateway"], "")


HOST = "# comment\nnameserver 127.0.0.53\nnameserver 192.0.2.53 ; x\ndomain old\nsearch corp.example lab.example\noptions timeout:2 edns0\nnameserver nonsense\n"


def test_resolv_conf_is_read_as_libc_does():
    config = hostfiles.parse_resolv_conf(HOST)
    assert config.servers == ("127.0.0.53", "192.0.2.53")
    assert config.search == ("corp.example", "lab.example")
    assert config.options == ("timeout:2", "edns0")


def test_a_user_network_points_at_the_embedded_resolver_and_keeps_the_search_list():
    text = hostfiles.resolv_conf(hostfiles.parse_resolv_conf(HOST), embedded=True)
    assert [line for line in text.splitlines() if line and not line.startswith("#")] == [
        "nameserver 127.0.0.11",
        "search corp.example lab.example",
        "options timeout:2 edns0 ndots:0",
    ]


def test_without_the_resolver_loopback_servers_are_left_out():
    text = hostfiles.resolv_conf(hostfiles.parse_resolv_conf(HOST), embedded=False)
    assert "nameserver 192.0.2.53" in text
    assert "127.0.0.53" not in text
    assert "nameserver 8.8.8.8" in hostfiles.resolv_conf(hostfiles.ResolverConfig(), embedded=False)


def test_the_containers_own_settings_win():
    host = hostfiles.parse_resolv_conf(HOST)
    merged = hostfiles.merge(host, ["1.1.1.1"], ["."], ["ndots:2"])
    assert (merged.servers, merged.search, merged.options) == (("1.1.1.1",), (), ("ndots:2",))
    assert hostfiles.merge(host, [], [], []) == host
    assert hostfiles.ndots_set(merged)
    assert not hostfiles.ndots_set(host)


def test_a_container_reaches_no_loopback_and_no_link_local_server_and_ipv6_only_with_ipv6():
    def reached(server: str, *, ipv6: bool = False) -> bool:
        return hostfiles.reachable(server, ipv6=ipv6)

    assert reached("192.0.2.53")
    assert not reached("127.0.0.53")
    assert not reached("fe80::1%eth0", ipv6=True)
    assert not reached("2001:db8::53")
    assert reached("2001:db8::53", ipv6=True)

"""Names of networks and views on them."""

from __future__ import annotations

from runtime.dns.zones import Upstream, View, Zone


def zone(name: str = "app_default", **kwargs: bool) -> Zone:
    made = Zone(f"id-{name}", name, **kwargs)
    made.set_endpoint("e1", ["app-web-1", "web", "0123456789ab"], ["10.0.0.2"])
    made.set_endpoint("e2", ["app-web-2", "Web"], ["10.0.0.3", "fd00::3"])
    return made


def test_replicas_share_an_alias_in_order_of_arrival():
    assert View(zones=(zone(),)).resolve("web") == ("10.0.0.2", "10.0.0.3", "fd00::3")


def test_container_name_and_short_id_resolve():
    view = View(zones=(zone(),))
    assert view.resolve("app-web-1") == ("10.0.0.2",)
    assert view.resolve("0123456789ab") == ("10.0.0.2",)
    assert view.resolve("nobody") is None


def test_a_name_can_be_qualified_by_its_network():
    view = View(zones=(zone("my.net"),))
    assert view.resolve("app-web-1.my.net") == ("10.0.0.2",)
    assert view.resolve("app-web-1.other") is None


def test_a_view_does_not_see_other_networks():
    back = Zone("id-back", "back")
    back.set_endpoint("e9", ["db"], ["10.1.0.2"])
    assert View(zones=(zone(),)).resolve("db") is None
    assert View(zones=(zone(), back)).resolve("db") == ("10.1.0.2",)


def test_links_are_names_for_one_container_only():
    view = View(zones=(zone(),), links={"database": "app-web-2"})
    assert view.resolve("database") == ("10.0.0.3", "fd00::3")
    assert View(zones=(zone(),)).resolve("database") is None


def test_reverse_look_up_names_container_and_network():
    view = View(zones=(zone(),))
    assert view.pointer("10.0.0.2") == "app-web-1.app_default"
    assert view.pointer("fd00::3") == "app-web-2.app_default"
    assert view.pointer("10.9.9.9") is None


def test_removing_an_endpoint_takes_all_of_its_names():
    made = zone()
    made.remove_endpoint("e1")
    made.remove_endpoint("e1")
    view = View(zones=(made,))
    assert view.resolve("web") == ("10.0.0.3", "fd00::3")
    assert view.resolve("app-web-1") is None
    assert view.pointer("10.0.0.2") is None


def test_a_change_is_told_and_the_same_again_is_none():
    made = zone()
    told: list[int] = []

    def callback() -> None:
        told.append(1)

    made.watch(callback)
    made.set_endpoint("e3", ["db"], ["10.0.0.4"])
    made.set_endpoint("e3", ["db"], ["10.0.0.4"])
    made.set_endpoint("e3", ["db", "mysql"], ["10.0.0.4"])
    made.unwatch(callback)
    made.remove_endpoint("e3")
    assert len(told) == 2


def test_behind_internal_networks_only_servers_inside_the_containers_namespace_are_asked():
    outside, inside = Upstream(address="127.0.0.53"), Upstream(address="10.0.0.2", netns_fd=7)
    servers = (outside, inside)
    assert View(zones=(zone(),), upstreams=servers).reachable == servers
    assert View(zones=(zone(internal=True), zone("x")), upstreams=servers).reachable == servers
    assert View(zones=(zone(internal=True),), upstreams=servers).reachable == (inside,)

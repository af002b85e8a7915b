"""Contradictions within a project, found before anything is created."""

from __future__ import annotations

from typing import Any

import pytest

from compose.errors import ConsistencyError, SourceMark
from compose.model.conflicts import conflicts, scaled_names
from compose.model.network import ServiceNetworkConfig
from compose.reconcile.planner import up
from tests.kit.states import port, project, service, state


def messages(*services: Any) -> list[str]:
    return [problem.message for problem in conflicts(project(*services))]


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (port("80"), port("80"), True),
        (port("80"), port("81"), False),
        (port("80", host_ip="127.0.0.1"), port("80", host_ip="127.0.0.2"), False),
        (port("80", host_ip="127.0.0.1"), port("80", host_ip="127.0.0.1"), True),
        (port("80", host_ip="0.0.0.0"), port("80", host_ip="127.0.0.1"), True),
        (port("80"), port("80", host_ip="::1"), True),
        (port("80", host_ip="0.0.0.0"), port("80", host_ip="::1"), False),
        (port("80", host_ip="::"), port("80", host_ip="0.0.0.0"), False),
        (port("80"), port("80", host_ip="0.0.0.0"), True),
        (port("80"), port("80").replace(protocol="udp"), False),
        (port("80-90"), port("80"), False),
        (port(""), port(""), False),
        (port("0"), port("0"), False),
    ],
)
def test_two_services_on_one_host_port(one: Any, other: Any, clash: bool) -> None:
    assert bool(messages(service("a", ports=(one,)), service("b", ports=(other,)))) is clash


def test_replicas_of_one_service_share_a_port_and_two_targets_do_not() -> None:
    assert messages(service("a", scale=3, ports=(port("80"),))) == []
    assert messages(service("a", ports=(port("80", 1), port("80", 2)))) == [
        'port is already allocated: 80/tcp of the host is also published by service "a"'
    ]


def test_a_service_that_completes_first_hands_its_port_on() -> None:
    certificates = service("certs", ports=(port("80"),))
    assert messages(certificates, service("web", needs={"certs": "completed"}, ports=(port("80"),))) == []


def test_a_service_on_the_host_network_publishes_nothing() -> None:
    assert messages(service("a", network_mode="host", ports=(port("80"),)), service("b", ports=(port("80"),))) == []


def test_a_custom_name_cannot_be_scaled() -> None:
    found = scaled_names(project(service("web", container_name="custom", scale=2)))
    assert found[0].message.startswith('the "web" service is using the custom container name "custom"')


def test_container_names_are_unique_also_against_generated_ones() -> None:
    assert messages(service("a", container_name="x"), service("b", container_name="x")) == [
        'container name "x" is already in use by service a'
    ]
    assert messages(service("a", container_name="app-b-1"), service("b")) == [
        'container name "app-b-1" is already in use by service b'
    ]
    assert messages(service("a", container_name="x"), service("b", container_name="x", scale=0)) == []


def test_fixed_addresses_are_unique() -> None:
    fixed = {"default": ServiceNetworkConfig(ipv6_address="fd00::5")}
    same = {"default": ServiceNetworkConfig(ipv6_address="fd00:0::5")}
    assert messages(service("a", networks=fixed), service("b", networks=same)) == [
        'Address already in use: fd00::5 is also given to service "a"'
    ]
    assert messages(service("a", networks=fixed, scale=2)) == [
        "Address already in use: fd00::5 is fixed, but the service has replicas"
    ]


def test_a_conflict_tells_both_places() -> None:
    marks = {
        "services.a.ports[0]": SourceMark("compose.yaml", 4, 9),
        "services.b.ports[0]": SourceMark("compose.yaml", 8, 9),
    }
    app = project(service("a", ports=(port("80"),)), service("b", ports=(port("80"),)), marks=marks)
    with pytest.raises(ConsistencyError) as caught:
        up(app, state(app))
    assert caught.value.message == (
        "compose.yaml:8:9: services.b.ports[0]: port is already allocated: 80/tcp of the host is also published by "
        'service "a" (line 4); expected another published port or host_ip (see compose.yaml:4:9)'
    )

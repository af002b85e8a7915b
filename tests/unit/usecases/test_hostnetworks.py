"""A declared subnet that the host or another network has is found; the project's own network is no one else's."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from compose.loader.options import LoadOptions
from compose.loader.pipeline import load
from compose.usecases import hostnetworks
from compose.usecases.hostnetworks import Holder, host_routes, judge, overlaps

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

TEXT = """
services: {web: {image: x, networks: [net]}}
networks:
  net: {ipam: {config: [{subnet: 10.9.0.0/16}]}}
  unused: {ipam: {config: [{subnet: 10.8.0.0/16}]}}
"""
ROUTES = """Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t0008090A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
eth1\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
ROUTES_6 = (
    "fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000"
    " 00000100 00000002 00000000 00000001     eth0\n"
    "fe800000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000"
    " 00000100 00000001 00000000 00000001     eth0\n"
)


def holder(subnet: str, name: str = "network x", project: str = "", network: str = "") -> Holder:
    return Holder(ipaddress.ip_network(subnet), name, project, network)


def found(tmp_path: Path, networks: list[Holder], routes: list[Holder]) -> list[str]:
    (tmp_path / "compose.yaml").write_text(TEXT)
    project = load(LoadOptions(cwd=str(tmp_path), project_name="app"))
    declared = [one for one in hostnetworks._declared(project) if one.network == "net"]
    return [str(problem).replace(f"{tmp_path}/", "") for problem in judge(project, declared, networks, routes)]


def test_the_hosts_routes_are_read_without_default_and_link_local_ones(tmp_path: Path) -> None:
    (tmp_path / "route").write_text(ROUTES)
    (tmp_path / "route6").write_text(ROUTES_6)
    routes = list(host_routes(str(tmp_path / "route"), str(tmp_path / "route6")))
    assert [(str(route.subnet), route.name) for route in routes] == [
        ("10.9.8.0/24", "device eth0 of the host"),
        ("fd00::/64", "device eth0 of the host"),
    ]


def test_a_subnet_of_the_host_is_named_with_both_places(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, [], [holder("10.9.8.0/24", "device eth0 of the host")])
    assert problem.startswith("compose.yaml:4:26: networks.net.ipam.config[0].subnet: invalid pool request: ")
    assert "10.9.0.0/16 overlaps with device eth0 of the host (10.9.8.0/24)" in problem


def test_a_subnet_of_another_project_is_named(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, [holder("10.9.0.0/20", "network b_net", "b", "net")], [holder("10.9.0.0/20")])
    assert "overlaps with network b_net (10.9.0.0/20)" in problem


def test_the_projects_own_network_may_have_its_subnet(tmp_path: Path) -> None:
    own = holder("10.9.0.0/16", "network app_net", "app", "net")
    assert found(tmp_path, [own], [holder("10.9.0.0/16", "device pyc of the host")]) == []


def test_what_does_not_meet_is_no_problem_and_asks_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_environ: Any) -> list[Holder]:
        raise AssertionError("the engine was asked")

    monkeypatch.setattr(hostnetworks, "_engine_networks", none)
    monkeypatch.setattr(hostnetworks, "host_routes", lambda: [holder("10.8.0.0/16"), holder("fd00::/64")])
    (tmp_path / "compose.yaml").write_text(TEXT)
    assert overlaps(load(LoadOptions(cwd=str(tmp_path))), {}) == []  # 10.8 is the unused one's

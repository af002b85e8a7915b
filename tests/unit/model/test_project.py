"""The project and its copies."""

from __future__ import annotations

import dataclasses

import pytest

from compose.errors import NoSuchService
from compose.model.deploy import DeployConfig
from compose.model.network import ServiceNetworkConfig
from compose.model.project import Project
from compose.model.service import ServiceConfig, ServiceDependency


def project() -> Project:
    services = {
        "web": ServiceConfig(name="web", image="w", depends_on={"api": ServiceDependency()}),
        "api": ServiceConfig(
            name="api", image="a", depends_on={"db": ServiceDependency(), "mail": ServiceDependency()}
        ),
        "db": ServiceConfig(name="db", image="d"),
        "mail": ServiceConfig(name="mail", image="m"),
    }
    return Project(name="app", working_dir="/app", services=services)


def test_selecting_takes_dependencies_along_and_disables_the_rest() -> None:
    chosen = project().with_selected(["api"])
    assert sorted(chosen.services) == ["api", "db", "mail"]
    assert sorted(chosen.disabled_services) == ["web"]


def test_selecting_alone_drops_edges_to_what_is_left_out() -> None:
    chosen = project().with_selected(["api", "db"], dependencies=False)
    assert list(chosen.services["api"].depends_on) == ["db"]


def test_an_unknown_service_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(NoSuchService, match='no such service: wbe; did you mean "web"'):
        project().with_selected(["wbe"])


def test_scaling_changes_the_copy_only() -> None:
    before = project()
    after = before.with_scale({"db": 3})
    assert (before.services["db"].replicas, after.services["db"].replicas) == (1, 3)


def test_replicas_come_from_scale_then_deploy_then_one() -> None:
    assert ServiceConfig(name="a").replicas == 1
    assert ServiceConfig(name="a", deploy=DeployConfig(replicas=0)).replicas == 0
    assert ServiceConfig(name="a", scale=2, deploy=DeployConfig(replicas=5)).replicas == 2


def test_networks_are_ordered_by_falling_priority_then_name() -> None:
    networks = {"b": None, "c": ServiceNetworkConfig(priority=5), "a": ServiceNetworkConfig()}
    assert ServiceConfig(name="a", networks=networks).networks_by_priority == ("c", "a", "b")


def test_records_are_immutable_compare_by_value_and_work_with_dataclasses() -> None:
    service = ServiceConfig(name="a", image="x")
    with pytest.raises(AttributeError):
        service.image = "y"  # type: ignore[misc]
    assert service == ServiceConfig(name="a", image="x")
    assert dataclasses.replace(service, image="y") == service.replace(image="y")
    assert {field.name for field in dataclasses.fields(service)} >= {"name", "image", "ports"}
    with pytest.raises(TypeError, match="imag"):
        ServiceConfig(imag="x")  # type: ignore[call-arg]
    assert repr(service) == "ServiceConfig(name='a', image='x')"

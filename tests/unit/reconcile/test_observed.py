"""Snapshots read back."""

from __future__ import annotations

from compose.model.service import ServiceDependency
from compose.reconcile import labels
from compose.reconcile.observed import observe, project_from_labels
from tests.kit.states import all_up, container, container_id, one_off, project, service, state, volume


def test_containers_are_ordered_by_number_and_one_offs_are_apart() -> None:
    app = project(service("web", scale=10))
    observed = state(app, *(container(app, "web", number) for number in (10, 2, 1)), one_off(app, "web"))
    assert [each.number for each in observed.of_service("web")] == [1, 2, 10]
    assert [each.name for each in observed.one_offs()] == ["app-web-run-0123456789ab"]
    assert observed.of_service("gone") == ()


def test_a_container_is_read_with_its_state() -> None:
    app = project(service("db", volumes=(volume("data"),)))
    seen = state(app, container(app, "db", status="exited", exit_code=7, health="unhealthy")).containers[0]
    assert (seen.id, seen.name, seen.service, seen.number) == (container_id("db", 1), "app-db-1", "db", 1)
    assert (seen.status, seen.exit_code, seen.health, seen.alive) == ("exited", 7, "unhealthy", False)
    assert (set(seen.networks), seen.volumes) == ({"app_default"}, {"app_data"})
    assert seen.raw["HostConfig"]["Mounts"]


def test_containers_of_other_projects_are_left_out() -> None:
    app = project(service("web"))
    foreign = container(app, "web")
    foreign["Config"]["Labels"][labels.PROJECT] = "other"
    assert observe({"Containers": [foreign]}, "app").containers == ()


def test_a_sparse_snapshot_is_no_error() -> None:
    observed = observe({"Containers": None, "Networks": None, "Volumes": None, "Images": None}, "app")
    assert (observed.containers, dict(observed.networks), dict(observed.images)) == ((), {}, {})


def test_a_project_is_found_again_in_its_labels() -> None:
    app = project(service("db", volumes=(volume("data"),)), service("web", needs={"db": "healthy restart"}, scale=2))
    found = project_from_labels(all_up(app))
    assert list(found.services) == ["db", "web"]
    assert found.services["web"].replicas == 2
    assert found.services["web"].depends_on == {
        "db": ServiceDependency(condition="service_healthy", restart=True, required=False)
    }
    assert (found.networks["default"].name, found.volumes["data"].name) == ("app_default", "app_data")
    assert (found.working_dir, found.compose_files) == ("/w", ("/w/compose.yaml",))


def test_a_dependency_label_of_an_old_release_is_understood() -> None:
    assert labels.parse_depends_on("db,cache:service_healthy,x:service_started:false") == {
        "db": ServiceDependency(restart=True, required=False),
        "cache": ServiceDependency(condition="service_healthy", restart=True, required=False),
        "x": ServiceDependency(restart=False, required=False),
    }
    assert labels.parse_depends_on("") == {}


def test_a_number_that_is_none_is_zero() -> None:
    assert [labels.number({labels.NUMBER: text}) for text in ("3", "", "x", "-1", "²")] == [3, 0, 0, 0, 0]

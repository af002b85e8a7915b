"""When a container is replaced, why, and in which steps."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from compose.model.network import NetworkConfig
from compose.reconcile.options import UpOptions
from compose.reconcile.planner import up
from tests.kit.states import IMAGE, NAME, all_up, container, container_id, port, project, service, state, volume

if TYPE_CHECKING:
    from compose.reconcile.observed import ObservedState

STEPS = """\
[] -> #1 service:web:1, CreateContainer, {0}
[1] -> #2 service:web:1, StopContainer, {0}
[2] -> #3 service:web:1, RemoveContainer, {0}
[3] -> #4 service:web:1, RenameContainer, {0}
[4] -> #5 service:web:1, StartContainer, {0}
"""


def plan_text(*args: Any) -> str:
    return str(up(*args))


@pytest.mark.parametrize(
    ("options", "cause"),
    [
        (UpOptions(), "configuration changed"),
        (UpOptions(recreate="force"), "forced"),
        (UpOptions(renew_anonymous_volumes=True), "anonymous volumes renewed"),
    ],
)
def test_the_new_container_is_made_before_the_old_one_stops(options: UpOptions, cause: str) -> None:
    app = project(service("web"))
    assert plan_text(app, state(app, container(app, "web", changed=True)), options) == STEPS.format(cause)


def test_the_replacement_has_a_temporary_name_and_takes_over_anonymous_volumes() -> None:
    app = project(service("web"))
    plan = up(app, state(app, container(app, "web", changed=True)))
    created, _, _, renamed, started = plan.operations
    old = container_id("web", 1)
    assert created.args["Name"] == f"{old[:12]}_app-web-1"
    assert created.args["InheritVolumesFrom"] == old
    assert created.args["Config"]["Labels"]["com.docker.compose.replace"] == "web-1"
    assert created.resource == "container app-web-1"
    assert renamed.args == {"Container": f"{old[:12]}_app-web-1", "Name": "app-web-1"}
    assert started.args == {"Container": "app-web-1"}


def test_renewed_anonymous_volumes_are_not_taken_over() -> None:
    app = project(service("web"))
    plan = up(app, all_up(app), UpOptions(renew_anonymous_volumes=True))
    assert "InheritVolumesFrom" not in plan.operations[0].args


def test_a_stopped_container_is_replaced_without_a_stop() -> None:
    app = project(service("web"))
    assert plan_text(app, state(app, container(app, "web", changed=True, status="exited"))) == dedent("""\
        [] -> #1 service:web:1, CreateContainer, configuration changed
        [1] -> #2 service:web:1, RemoveContainer, configuration changed
        [2] -> #3 service:web:1, RenameContainer, configuration changed
        [3] -> #4 service:web:1, StartContainer, configuration changed
        """)


def test_no_recreate_leaves_everything_as_it_is() -> None:
    app = project(service("web"))
    assert plan_text(app, state(app, container(app, "web", changed=True)), UpOptions(recreate="never")) == ""


def test_an_image_with_another_id_replaces_the_container() -> None:
    app = project(service("web"))
    there = state(app, container(app, "web", image="sha256:old"))
    assert plan_text(app, there) == STEPS.format("image changed")


def test_an_image_that_is_not_there_any_more_replaces_nothing() -> None:
    app = project(service("web"))
    assert plan_text(app, state(app, container(app, "web"), images={})) == ""


@pytest.mark.parametrize(
    "unimportant",
    [{"scale": 1}, {"profiles": ()}, {"pull_policy": "always"}],
)
def test_what_is_not_in_the_hash_replaces_nothing(unimportant: dict[str, Any]) -> None:
    app = project(service("web"))
    changed = project(service("web", **unimportant))
    assert plan_text(changed, state(app, container(app, "web"))) == ""


def test_a_new_dependency_replaces_nothing() -> None:
    before = project(service("db"), service("web"))
    after = project(service("db"), service("web", needs=("db",)))
    assert plan_text(after, all_up(before)) == ""


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({"image": "img:2"}, "image"),
        ({"environment": {"A": "2"}}, "environment"),
        ({"command": ("sleep", "1")}, "command"),
        ({"ports": (port("1"),)}, "ports"),
        ({"user": "u", "working_dir": "/x"}, "user, working_dir"),
        ({"labels": {"a": "b"}}, "labels"),
        ({"volumes": (volume("other"),)}, "volumes"),
        ({"mem_limit": 5, "privileged": True}, "privileged, memory"),
        ({"restart": "always"}, "restart"),
    ],
)
def test_the_cause_names_the_parts_that_changed(change: dict[str, Any], parts: str) -> None:
    before = project(service("web", environment={"A": "1"}, volumes=(volume("data"),)))
    after = project(service("web", **{"environment": {"A": "1"}, "volumes": (volume("data"),), **change}))
    created = next(each for each in up(after, all_up(before)) if each.kind == "CreateContainer")
    assert created.cause == f"configuration changed: {parts}"


def test_a_running_container_that_is_not_on_its_network_is_replaced() -> None:
    app = project(service("web", networks={"front": None}))
    raw = container(app, "web")
    raw["NetworkSettings"]["Networks"] = {}
    assert plan_text(app, state(app, raw)) == STEPS.format("not connected to network front")


def test_a_stopped_container_is_not_asked_for_its_networks() -> None:
    app = project(service("web", networks={"front": None}))
    raw = container(app, "web", status="exited")
    raw["NetworkSettings"]["Networks"] = {}
    assert plan_text(app, state(app, raw)) == "[] -> #1 service:web:1, StartContainer, exited (0)\n"


def test_a_renamed_network_moves_the_containers() -> None:
    app = project(service("web", networks={"front": None}))
    renamed = replace(app, networks={"front": NetworkConfig(name="public")})
    observed = all_up(app)
    assert plan_text(renamed, observed) == dedent("""\
        [] -> #1 network:front, CreateNetwork, missing
        [1] -> #2 service:web:1, CreateContainer, not connected to network front
        [2] -> #3 service:web:1, StopContainer, not connected to network front
        [3] -> #4 service:web:1, RemoveContainer, not connected to network front
        [4] -> #5 service:web:1, RenameContainer, not connected to network front
        [5] -> #6 service:web:1, StartContainer, not connected to network front
        """)


def test_a_container_without_its_volume_is_replaced() -> None:
    app = project(service("web", volumes=(volume("data"),)))
    raw = container(app, "web")
    raw["Mounts"] = []
    assert plan_text(app, state(app, raw)) == STEPS.format("volume data not mounted")


def test_a_dead_container_is_replaced() -> None:
    app = project(service("web"))
    assert "CreateContainer, dead" in plan_text(app, state(app, container(app, "web", status="dead")))


def changed_db(app: Any) -> ObservedState:
    return state(app, container(app, "db", changed=True), container(app, "web"))


def test_dependents_that_want_it_are_stopped_first_and_started_last() -> None:
    app = project(service("db"), service("web", needs={"db": "restart"}))
    assert plan_text(app, changed_db(app)) == dedent("""\
        [] -> #1 service:web:1, StopContainer, db is recreated
        [] -> #2 service:db:1, CreateContainer, configuration changed
        [1,2] -> #3 service:db:1, StopContainer, configuration changed
        [3] -> #4 service:db:1, RemoveContainer, configuration changed
        [4] -> #5 service:db:1, RenameContainer, configuration changed
        [5] -> #6 service:db:1, StartContainer, configuration changed
        [1,6] -> #7 service:web:1, StartContainer, db is recreated
        """)


def test_other_dependents_are_left_alone() -> None:
    app = project(service("db"), service("web", needs=("db",)))
    assert "web" not in plan_text(app, changed_db(app))


def test_dependents_out_of_scope_are_left_alone() -> None:
    app = project(service("db"), service("web", needs={"db": "restart"}))
    assert "web" not in plan_text(app, changed_db(app), UpOptions(services=("db",)))


def test_dependencies_of_named_services_have_their_own_policy() -> None:
    app = project(service("db"), service("web", needs=("db",)))
    named = UpOptions(services=("web",), recreate="force")
    text = plan_text(app, all_up(app), named)
    assert "web:1, CreateContainer, forced" in text
    assert "db" not in text
    text = plan_text(app, all_up(app), replace(named, recreate="diverged", recreate_dependencies="force"))
    assert "db:1, CreateContainer, forced" in text
    assert "web" not in text


def test_who_shares_a_namespace_stops_before_its_owner_is_replaced() -> None:
    """The child needs the new owner to be made, so it cannot be made before the old one stops."""
    app = project(service("vpn"), service("web", network_mode="service:vpn"))
    observed = state(app, container(app, "vpn", changed=True), container(app, "web"))
    plan = up(app, observed)
    assert str(plan) == dedent("""\
        [] -> #1 service:web:1, StopContainer, vpn is recreated
        [] -> #2 service:vpn:1, CreateContainer, configuration changed
        [1,2] -> #3 service:vpn:1, StopContainer, configuration changed
        [3] -> #4 service:vpn:1, RemoveContainer, configuration changed
        [4] -> #5 service:vpn:1, RenameContainer, configuration changed
        [5] -> #6 service:web:1, CreateContainer, shares the network of vpn, which is new
        [1,6] -> #7 service:web:1, RemoveContainer, shares the network of vpn, which is new
        [7] -> #8 service:web:1, RenameContainer, shares the network of vpn, which is new
        [5] -> #9 service:vpn:1, StartContainer, configuration changed
        [8,9] -> #10 service:web:1, StartContainer, shares the network of vpn, which is new
        """)
    assert plan.operations[5].args["HostConfig"]["NetworkMode"] == "container:app-vpn-1"


def test_who_is_left_on_a_dead_namespace_is_moved_to_the_present_one() -> None:
    app = project(service("vpn"), service("web", network_mode="service:vpn"))
    raw = container(app, "web")
    raw["HostConfig"]["NetworkMode"] = "container:" + "f" * 64
    text = plan_text(app, state(app, container(app, "vpn"), raw))
    assert "web:1, CreateContainer, shares the network of a former vpn" in text
    assert "service:vpn" not in text


def test_volumes_from_follows_the_new_container() -> None:
    app = project(service("data"), service("web", volumes_from=("data:ro",)))
    observed = state(app, container(app, "data", changed=True), container(app, "web"))
    plan = up(app, observed)
    created = next(each for each in plan if each.kind == "CreateContainer" and "web" in each.subject)
    assert created.cause == "shares the volumes of data, which is new"
    assert created.args["HostConfig"]["VolumesFrom"] == ["app-data-1:ro"]


def test_pre_stop_hooks_are_not_run_for_the_container_that_is_replaced() -> None:
    from compose.model.hook import ServiceHook

    app = project(service("web", pre_stop=(ServiceHook(command=("bye",)),)))
    assert "RunHook" not in plan_text(app, state(app, container(app, "web", changed=True)))


def test_a_renamed_container_is_made_under_the_new_name() -> None:
    before = project(service("web"))
    after = project(service("web", container_name="custom"))
    plan = up(after, all_up(before))
    assert plan.operations[0].args["Config"]["Labels"]["com.docker.compose.replace"] == "custom"
    assert plan.operations[3].args["Name"] == "custom"
    assert plan.operations[4].resource == "container custom"


def test_a_port_that_moves_to_another_service_is_free_before_that_starts() -> None:
    before = project(service("a", ports=(port("80"),)), service("b"))
    after = project(service("a"), service("b", ports=(port("80"),)))
    plan = up(after, all_up(before))
    removed = next(each for each in plan if each.kind == "RemoveContainer" and each.subject == "service:a:1")
    started = next(each for each in plan if each.kind == "StartContainer" and each.subject == "service:b:1")
    assert removed.id in started.depends


def test_the_image_label_is_the_id_of_the_local_image() -> None:
    app = project(service("web"))
    plan = up(app, state(app))
    assert plan.operations[0].args["Config"]["Labels"]["com.docker.compose.image"] == IMAGE
    assert plan.project == NAME


def left_over(app: Any, **said: Any) -> dict[str, Any]:
    raw = container(app, "web", **said)
    raw["Id"], raw["Name"] = "f" * 64, "/0123456789ab_app-web-1"
    raw["Config"]["Labels"]["com.docker.compose.replace"] = "web-1"
    return raw


def test_a_replacement_that_was_cut_off_is_finished() -> None:
    """The engine or the client died between creating the new container and renaming it."""
    app = project(service("web"))
    observed = state(app, container(app, "web", changed=True), left_over(app, status="created"))
    assert plan_text(app, observed) == dedent("""\
        [] -> #1 service:web:1, StopContainer, already replaced
        [1] -> #2 service:web:1, RemoveContainer, already replaced
        [2] -> #3 service:web:1, RenameContainer, temporary name left over
        [3] -> #4 service:web:1, StartContainer, not started yet
        """)


def test_a_replacement_that_was_cut_off_before_its_rename_gets_its_name() -> None:
    app = project(service("web"))
    assert plan_text(app, state(app, left_over(app))) == (
        "[] -> #1 service:web:1, RenameContainer, temporary name left over\n"
    )


def test_a_name_that_another_service_gives_up_is_free_before_it_is_taken() -> None:
    before = project(service("a", container_name="shared"))
    after = project(service("b", container_name="shared"))
    assert plan_text(after, all_up(before), UpOptions(remove_orphans=True)) == dedent("""\
        [] -> #1 service:a:1, StopContainer, orphan
        [1] -> #2 service:a:1, RemoveContainer, orphan
        [2] -> #3 service:b:1, CreateContainer, missing
        [3] -> #4 service:b:1, StartContainer, missing
        """)


def test_a_container_on_a_network_that_is_gone_is_replaced_in_the_plan_that_makes_the_network_anew() -> None:
    app = project(service("web"))
    plan = up(app, state(app, container(app, "web"), networks=False))
    assert [(each.kind, each.cause) for each in plan] == [
        ("CreateNetwork", "missing"),
        ("CreateContainer", "not connected to network default"),
        ("StopContainer", "not connected to network default"),
        ("RemoveContainer", "not connected to network default"),
        ("RenameContainer", "not connected to network default"),
        ("StartContainer", "not connected to network default"),
    ]

"""`up`: what is created, started, kept, scaled; state in, plan text out."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from compose.errors import ComposeError, ConsistencyError, NoSuchService
from compose.model.fileobject import SecretConfig
from compose.model.mounts import ServiceSecretConfig
from compose.model.network import PortConfig
from compose.model.service import LoggingConfig, ServiceProviderConfig
from compose.reconcile.options import UpOptions
from compose.reconcile.planner import scale, up
from tests.kit.states import all_up, container, everything, one_off, port, project, service, state, volume


def plan_text(*args: object, **kwargs: object) -> str:
    return str(up(*args, **kwargs))


def test_nothing_there_everything_is_created_and_started_in_order() -> None:
    """A service starts as soon as its own dependencies have; nobody waits for all creations."""
    app = project(service("db", volumes=(volume("data"),)), service("web", needs=("db",)), service("other"))
    assert plan_text(app, state(app, networks=False, volumes=False)) == dedent("""\
        [] -> #1 network:default, CreateNetwork, missing
        [] -> #2 volume:data, CreateVolume, missing
        [1,2] -> #3 service:db:1, CreateContainer, missing
        [1] -> #4 service:other:1, CreateContainer, missing
        [1] -> #5 service:web:1, CreateContainer, missing
        [3] -> #6 service:db:1, StartContainer, missing
        [4] -> #7 service:other:1, StartContainer, missing
        [5,6] -> #8 service:web:1, StartContainer, missing
        """)


def test_everything_up_to_date_needs_no_operation() -> None:
    app = project(service("db"), service("web", needs=("db",), scale=2))
    plan = up(app, all_up(app))
    assert str(plan) == ""
    assert [(kept.resource, kept.status) for kept in plan.kept] == [
        ("container app-db-1", "Running"),
        ("container app-web-1", "Running"),
        ("container app-web-2", "Running"),
    ]


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("created", "[] -> #1 service:web:1, StartContainer, not started yet\n"),
        ("exited", "[] -> #1 service:web:1, StartContainer, exited (3)\n"),
        ("paused", "[] -> #1 service:web:1, UnpauseContainer, paused\n"),
        ("running", ""),
        ("restarting", ""),
    ],
)
def test_a_container_that_does_not_run_is_started_as_it_is(status: str, expected: str) -> None:
    app = project(service("web"))
    assert plan_text(app, state(app, container(app, "web", status=status, exit_code=3))) == expected


def test_no_start_only_creates() -> None:
    app = project(service("web"))
    assert plan_text(app, state(app), UpOptions(start=False)) == ("[] -> #1 service:web:1, CreateContainer, missing\n")


def test_more_replicas_get_the_next_numbers_and_gaps_stay() -> None:
    app = project(service("web", scale=4))
    assert plan_text(app, state(app, container(app, "web", 1), container(app, "web", 3))) == dedent("""\
        [] -> #1 service:web:4, CreateContainer, scale 2 -> 4
        [] -> #2 service:web:5, CreateContainer, scale 2 -> 4
        [1] -> #3 service:web:4, StartContainer, scale 2 -> 4
        [2] -> #4 service:web:5, StartContainer, scale 2 -> 4
        """)


def test_fewer_replicas_lose_the_highest_numbers() -> None:
    app = project(service("web", scale=1))
    there = [container(app, "web", number) for number in (1, 2, 3)]
    assert plan_text(app, state(app, *there)) == dedent("""\
        [] -> #1 service:web:2, StopContainer, scale 3 -> 1
        [1] -> #2 service:web:2, RemoveContainer, scale 3 -> 1
        [] -> #3 service:web:3, StopContainer, scale 3 -> 1
        [3] -> #4 service:web:3, RemoveContainer, scale 3 -> 1
        """)


def test_scaling_down_removes_the_obsolete_before_the_high() -> None:
    app = project(service("web", scale=1))
    there = [container(app, "web", 1, changed=True), container(app, "web", 2), container(app, "web", 3)]
    text = plan_text(app, state(app, *there))
    assert "web:2" not in text
    assert "service:web:1, RemoveContainer, scale 3 -> 1" in text
    assert "service:web:3, RemoveContainer, scale 3 -> 1" in text


def test_scale_zero_removes_all_and_dependents_do_not_wait() -> None:
    app = project(service("db", scale=0), service("web", needs={"db": "healthy"}))
    assert plan_text(app, state(app, container(app, "db", status="exited"))) == dedent("""\
        [] -> #1 service:db:1, RemoveContainer, scale 1 -> 0
        [] -> #2 service:web:1, CreateContainer, missing
        [2] -> #3 service:web:1, StartContainer, missing
        """)


def test_the_command_scale_beats_the_file_and_leaves_other_services_alone() -> None:
    app = project(service("web"), service("other"))
    assert str(scale(app, state(app, container(app, "web")), {"web": 2})) == dedent("""\
        [] -> #1 service:web:2, CreateContainer, scale 1 -> 2
        [1] -> #2 service:web:2, StartContainer, scale 1 -> 2
        """)


def test_a_named_service_comes_with_what_it_needs() -> None:
    app = project(service("db"), service("web", needs=("db",)), service("other"))
    text = plan_text(app, state(app), UpOptions(services=("web",)))
    assert "db:1, StartContainer" in text
    assert "other" not in text


def test_no_deps_leaves_dependencies_alone_and_waits_for_none() -> None:
    app = project(service("db"), service("web", needs={"db": "healthy"}))
    assert plan_text(app, state(app), UpOptions(services=("web",), no_deps=True)) == dedent("""\
        [] -> #1 service:web:1, CreateContainer, missing
        [1] -> #2 service:web:1, StartContainer, missing
        """)


def test_resources_that_only_services_out_of_scope_use_are_not_created() -> None:
    app = project(
        service("web", networks={"front": None}), service("db", networks={"back": None}, volumes=(volume("v"),))
    )
    text = plan_text(app, state(app, networks=False, volumes=False), UpOptions(services=("web",)))
    assert "network:front" in text
    assert "back" not in text
    assert "volume" not in text


def test_an_unknown_service_is_an_error() -> None:
    app = project(service("web"))
    with pytest.raises(NoSuchService, match="no such service: wob"):
        up(app, state(app), UpOptions(services=("wob",)))


def test_a_dependency_of_another_profile_is_named_with_the_profile() -> None:
    whole = project(service("db", profiles=("debug",)), service("web", needs=("db",))).with_profiles(())
    with pytest.raises(ConsistencyError, match=r"service db is required by web but is disabled.*profiles \[debug\]"):
        up(whole, state(whole))


def test_an_optional_dependency_of_another_profile_does_not_matter() -> None:
    whole = project(service("db", profiles=("debug",)), service("web", needs={"db": "optional"})).with_profiles(())
    assert "db" not in plan_text(whole, state(whole))


def test_orphans_are_told_and_removed_only_when_asked() -> None:
    app = project(service("web"))
    former = project(service("web"), service("old"))
    there = state(app, container(app, "web"), container(former, "old"))
    plan = up(app, there)
    assert str(plan) == ""
    assert plan.warnings[0].startswith("Found orphan containers ([app-old-1]) for this project.")
    assert plan_text(app, there, UpOptions(remove_orphans=True)) == dedent("""\
        [] -> #1 service:old:1, StopContainer, orphan
        [1] -> #2 service:old:1, RemoveContainer, orphan
        """)
    assert up(app, there, UpOptions(ignore_orphans=True)).warnings == ()


def test_services_of_other_profiles_and_running_one_offs_are_no_orphans() -> None:
    whole = project(service("db", profiles=("debug",)), service("web"))
    app = whole.with_profiles(())
    there = state(app, *everything(whole), one_off(app, "web"))
    assert up(app, there).warnings == ()
    finished = state(app, *everything(whole), one_off(app, "web", status="exited"))
    assert "app-web-run-0123456789ab" in up(app, finished).warnings[0]


def test_a_port_taken_over_from_an_orphan_is_waited_for() -> None:
    former = project(service("old", ports=(port("8080"),)))
    app = project(service("new", ports=(port("8080"),)), service("other"))
    text = plan_text(app, state(app, container(former, "old")), UpOptions(remove_orphans=True))
    assert text == dedent("""\
        [] -> #1 service:old:1, StopContainer, orphan
        [1] -> #2 service:old:1, RemoveContainer, orphan
        [] -> #3 service:new:1, CreateContainer, missing
        [] -> #4 service:other:1, CreateContainer, missing
        [2,3] -> #5 service:new:1, StartContainer, missing
        [4] -> #6 service:other:1, StartContainer, missing
        """)


def test_a_service_of_a_provider_has_no_containers_and_keeps_nobody_waiting() -> None:
    app = project(
        service("cloud", provider=ServiceProviderConfig(type="x")), service("web", needs={"cloud": "healthy"})
    )
    assert plan_text(app, state(app)) == dedent("""\
        [] -> #1 service:web:1, CreateContainer, missing
        [1] -> #2 service:web:1, StartContainer, missing
        """)


def test_a_namespace_is_shared_with_the_first_container_of_the_service() -> None:
    app = project(service("vpn", scale=2), service("web", network_mode="service:vpn"))
    plan = up(app, state(app))
    assert str(plan) == dedent("""\
        [] -> #1 service:vpn:1, CreateContainer, missing
        [] -> #2 service:vpn:2, CreateContainer, missing
        [1] -> #3 service:web:1, CreateContainer, missing
        [1] -> #4 service:vpn:1, StartContainer, missing
        [2] -> #5 service:vpn:2, StartContainer, missing
        [3,4,5] -> #6 service:web:1, StartContainer, missing
        """)
    assert plan.operations[2].args["HostConfig"]["NetworkMode"] == "container:app-vpn-1"


def test_sharing_with_a_service_without_containers_is_an_error() -> None:
    app = project(service("vpn"), service("web", network_mode="service:vpn"))
    with pytest.raises(ComposeError, match="cannot share network namespace with service vpn: container missing"):
        up(app, state(app), UpOptions(services=("web",), no_deps=True))


def test_the_timeout_goes_to_every_stop() -> None:
    app = project(service("web", scale=0))
    plan = up(app, state(app, container(app, "web")), UpOptions(timeout=3))
    assert plan.operations[0].args["Timeout"] == 3


def test_a_plan_crosses_the_wire_as_plain_data() -> None:
    app = project(service("web"))
    wire = up(app, state(app)).to_wire()
    assert wire["project"] == "app"
    first = wire["operations"][0]
    assert (first["id"], first["kind"], first["resource"], first["depends"]) == (
        1,
        "CreateContainer",
        "container app-web-1",
        [],
    )


def test_the_label_of_dependencies_names_also_those_out_of_scope() -> None:
    """A later `down` without files must know the order."""
    app = project(service("db"), service("web", needs=("db",)))
    plan = up(app, state(app), UpOptions(services=("web",), no_deps=True))
    said = plan.operations[0].args["Config"]["Labels"]
    assert said["com.docker.compose.depends_on"] == "db:service_started:false"


@pytest.mark.parametrize(
    ("attributes", "warning"),
    [
        ({"isolation": "hyperv"}, ".isolation is not supported and has no effect"),
        (
            {"logging": LoggingConfig(driver="syslog")},
            ".logging.driver syslog is not supported, the log is kept as json",
        ),
        ({"network_mode": "host", "ports": (PortConfig(target=80),)}, ".ports have no effect with the host's"),
        ({"isolation": "default"}, ""),
        ({"logging": LoggingConfig(driver="local")}, ""),
    ],
)
def test_only_what_has_no_effect_is_warned_of(attributes: dict[str, Any], warning: str) -> None:
    app = project(service("web", **attributes))
    said = up(app, state(app)).warnings
    assert [text.startswith(f"services.web{warning}") for text in said] == [True] * bool(warning)


def test_what_has_no_effect_is_told() -> None:
    app = project(
        service("web", use_api_socket=True, secrets=(ServiceSecretConfig(source="s", mode=0o400),)),
        secrets={"s": SecretConfig(file="/f")},
    )
    assert up(app, state(app)).warnings == (
        "services.web.use_api_socket is not supported and has no effect",
        "services.web.secrets.s: uid, gid and mode have no effect on a file of the host, which is mounted as it is",
    )

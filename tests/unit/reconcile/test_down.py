"""`down`: everything goes, in reverse order, and nothing that others need."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest

from compose.errors import NoSuchService
from compose.model.hook import ServiceHook
from compose.model.network import NetworkConfig
from compose.reconcile.options import DownOptions
from compose.reconcile.plan_down import down
from tests.kit.states import (
    IMAGE,
    all_up,
    container,
    container_id,
    everything,
    one_off,
    project,
    service,
    state,
    volume,
)


def test_containers_stop_in_reverse_order_and_then_the_network_goes() -> None:
    app = project(service("db"), service("api", needs=("db",)), service("web", needs=("api",)), service("other"))
    assert str(down(app, all_up(app))) == dedent("""\
        [] -> #1 service:web:1, StopContainer, down
        [1] -> #2 service:api:1, StopContainer, down
        [] -> #3 service:other:1, StopContainer, down
        [2] -> #4 service:db:1, StopContainer, down
        [4] -> #5 service:db:1, RemoveContainer, down
        [2] -> #6 service:api:1, RemoveContainer, down
        [1] -> #7 service:web:1, RemoveContainer, down
        [3] -> #8 service:other:1, RemoveContainer, down
        [5,6,7,8] -> #9 network:default, RemoveNetwork, down
        """)


def test_the_order_holds_over_a_service_that_has_stopped_already() -> None:
    app = project(service("db"), service("api", needs=("db",)), service("web", needs=("api",)))
    observed = state(app, container(app, "db"), container(app, "api", status="exited"), container(app, "web"))
    text = str(down(app, observed))
    assert "[1] -> #2 service:db:1, StopContainer, down" in text
    assert "service:api:1, StopContainer" not in text


def test_without_files_the_labels_tell_everything() -> None:
    app = project(service("db", volumes=(volume("data"),)), service("web", needs=("db",)))
    observed = all_up(app)
    assert str(down(None, observed, DownOptions(volumes=True))) == str(down(app, observed, DownOptions(volumes=True)))


def test_a_named_service_goes_alone() -> None:
    app = project(service("db"), service("api", needs=("db",)), service("web", needs=("api",)), service("other"))
    plan = down(app, all_up(app), DownOptions(services=("api",)))
    assert str(plan) == dedent("""\
        [] -> #1 service:api:1, StopContainer, down
        [1] -> #2 service:api:1, RemoveContainer, down
        [2] -> #3 network:default, RemoveNetwork?, down
        """)


def test_an_unknown_service_is_an_error_only_with_files() -> None:
    app = project(service("web"))
    with pytest.raises(NoSuchService):
        down(app, all_up(app), DownOptions(services=("wob",)))
    plan = down(None, all_up(app), DownOptions(services=("wob",)))
    assert (str(plan), plan.warnings) == ("", ('Any of the services [wob] not running in project "app"',))


def test_volumes_go_only_when_asked_and_take_the_anonymous_ones_along() -> None:
    app = project(service("db", volumes=(volume("data"),)))
    assert "Volume" not in str(down(app, all_up(app)))
    plan = down(app, all_up(app), DownOptions(volumes=True))
    assert "[2] -> #4 volume:data, RemoveVolume?, down --volumes" in str(plan)
    assert plan.operations[1].args == {"Container": container_id("db", 1), "Force": True, "Volumes": True}


def test_external_resources_stay() -> None:
    app = replace(project(service("web")), networks={"default": NetworkConfig(name="shared", external=True)})
    observed = state(app, *everything(app), extra_networks=({"Name": "shared", "Id": "x"},))
    assert "Network" not in str(down(app, observed, DownOptions(volumes=True)))


def test_orphans_and_one_offs_go_only_when_asked() -> None:
    app = project(service("web"))
    former = project(service("old"))
    observed = state(app, container(app, "web"), container(former, "old"), one_off(app, "web"))
    plain = str(down(app, observed))
    assert "old" not in plain
    assert "run-" not in plain
    assert "RemoveNetwork?" in plain
    thorough = str(down(app, observed, DownOptions(remove_orphans=True)))
    assert "service:old:1, RemoveContainer, orphan" in thorough
    assert "container:app-web-run-0123456789ab, RemoveContainer, down" in thorough


def test_images_built_here_or_all_of_them() -> None:
    app = project(service("web", image=""), service("db", image="img"))
    observed = state(app, *everything(app), images={"app-web": {"Id": IMAGE}, "img": {"Id": "sha256:other"}})
    local = str(down(app, observed, DownOptions(images="local")))
    assert "image:app-web, RemoveImage?, down --rmi local" in local
    assert "image:img" not in local
    assert "image:img, RemoveImage?" in str(down(app, observed, DownOptions(images="all")))


def test_hooks_before_the_stop_come_first() -> None:
    app = project(service("web", pre_stop=(ServiceHook(command=("bye",)),)))
    assert str(down(app, all_up(app))).startswith(
        "[] -> #1 service:web:1, RunHook, pre_stop hook\n[1] -> #2 service:web:1, StopContainer, down\n"
    )


def test_nothing_there_is_told_where_the_files_name_no_network() -> None:
    app = project(service("web"))
    nothing = state(app, networks=False)
    told = ('Warning: No resource found to remove for project "app".',)
    assert down(app, nothing).warnings == ()
    assert down(app.replace(networks={}), nothing).warnings == told
    assert down(None, nothing).warnings == told


def test_the_timeout_is_passed_on() -> None:
    app = project(service("web"))
    assert down(app, all_up(app), DownOptions(timeout=0)).operations[0].args["Timeout"] == 0
    assert "Timeout" not in down(app, all_up(app)).operations[0].args

"""Networks and volumes: missing, foreign, external, diverged."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent
from typing import Any

import pytest

from compose.errors import ComposeError
from compose.model.network import IPAMConfig, IPAMPool, NetworkConfig
from compose.model.volume import VolumeConfig
from compose.reconcile.options import UpOptions
from compose.reconcile.plan import Question
from compose.reconcile.planner import up
from tests.kit.states import (
    all_up,
    container,
    everything,
    named_volume,
    network,
    one_off,
    project,
    service,
    state,
    volume,
)


def with_network(app: Any, **said: Any) -> Any:
    return replace(app, networks={"default": NetworkConfig(**{"name": "app_default", **said})})


def test_a_network_is_created_as_it_is_said() -> None:
    pool = IPAMPool(subnet="10.0.0.0/24", gateway="10.0.0.1", aux_addresses={"host": "10.0.0.9"})
    app = with_network(
        project(service("web")),
        driver="bridge",
        internal=True,
        enable_ipv6=False,
        labels={"x": "y"},
        driver_opts={"o": "1"},
        ipam=IPAMConfig(driver="default", config=(pool,)),
    )
    args = dict(up(app, state(app, networks=False)).operations[0].args)
    hashed = args["Labels"].pop("com.docker.compose.config-hash")
    assert len(hashed) == 64
    assert args == {
        "Name": "app_default",
        "Driver": "bridge",
        "Options": {"o": "1"},
        "Internal": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Config": [{"Subnet": "10.0.0.0/24", "Gateway": "10.0.0.1", "AuxiliaryAddresses": {"host": "10.0.0.9"}}],
        },
        "Labels": {
            "x": "y",
            "com.docker.compose.network": "default",
            "com.docker.compose.project": "app",
            "com.docker.compose.version": "2.40.3",
        },
    }


def test_an_external_network_must_be_there() -> None:
    app = with_network(project(service("web")), name="shared", external=True)
    with pytest.raises(ComposeError, match=r"^network shared declared as external, but could not be found$"):
        up(app, state(app))


def test_an_external_network_may_be_named_by_its_id() -> None:
    app = with_network(project(service("web")), name="abc", external=True)
    there = {"Id": "abc", "Name": "real", "Labels": {}}
    assert "CreateNetwork" not in str(up(app, state(app, extra_networks=(there,))))


def test_a_network_of_somebody_else_is_an_error_with_a_hint() -> None:
    app = project(service("web"))
    there = {"Id": "x", "Name": "app_default", "Labels": {}}
    with pytest.raises(
        ComposeError, match=r'incorrect label com.docker.compose.network set to "" .expected: "default"'
    ):
        up(app, state(app, networks=False, extra_networks=(there,)))


def test_a_network_of_another_project_with_the_right_key_is_used_with_a_warning() -> None:
    app = project(service("web"))
    there = network(app, "default")
    there["Labels"]["com.docker.compose.project"] = "other"
    plan = up(app, state(app, networks=False, extra_networks=(there,)))
    assert 'exists but was not created for project "app"' in plan.warnings[0]
    assert "CreateNetwork" not in str(plan)


def test_a_diverged_network_is_replaced_under_its_containers() -> None:
    """They keep their identity: stopped in reverse order, taken off, put on the new network, started in order."""
    app = project(service("db"), service("web", needs=("db",)))
    observed = state(app, *everything(app), networks=False, extra_networks=(network(app, "default", changed=True),))
    cause = "network default configuration changed"
    plan = up(app, observed)
    assert str(plan) == dedent(f"""\
        [] -> #1 service:web:1, StopContainer, {cause}
        [1] -> #2 service:db:1, StopContainer, {cause}
        [2] -> #3 service:db:1, DisconnectNetwork, {cause}
        [1] -> #4 service:web:1, DisconnectNetwork, {cause}
        [3,4] -> #5 network:default, RemoveNetwork, configuration changed
        [5] -> #6 network:default, CreateNetwork, configuration changed
        [6] -> #7 service:db:1, ConnectNetwork, {cause}
        [6] -> #8 service:web:1, ConnectNetwork, {cause}
        [7] -> #9 service:db:1, StartContainer, {cause}
        [8,9] -> #10 service:web:1, StartContainer, {cause}
        """)
    assert plan.operations[6].args["EndpointConfig"] == {"Aliases": ["app-db-1", "db"]}


def test_a_container_on_a_diverged_network_that_changed_too_is_replaced_after_its_stop() -> None:
    app = project(service("web"))
    observed = state(
        app,
        container(app, "web", changed=True),
        networks=False,
        extra_networks=(network(app, "default", changed=True),),
    )
    assert str(up(app, observed)) == dedent("""\
        [] -> #1 service:web:1, StopContainer, network default configuration changed
        [1] -> #2 service:web:1, DisconnectNetwork, network default configuration changed
        [2] -> #3 network:default, RemoveNetwork, configuration changed
        [3] -> #4 network:default, CreateNetwork, configuration changed
        [4] -> #5 service:web:1, CreateContainer, configuration changed
        [1,2,5] -> #6 service:web:1, RemoveContainer, configuration changed
        [6] -> #7 service:web:1, RenameContainer, configuration changed
        [7] -> #8 service:web:1, StartContainer, configuration changed
        """)


def test_containers_out_of_scope_come_back_on_the_new_network() -> None:
    app = project(service("db"), service("web"))
    observed = state(
        app,
        *everything(app),
        one_off(app, "web"),
        networks=False,
        extra_networks=(network(app, "default", changed=True),),
    )
    text = str(up(app, observed, UpOptions(services=("web",))))
    for name in ("service:db:1", "container:app-web-run-0123456789ab"):
        assert f"{name}, ConnectNetwork" in text
        assert f"{name}, StartContainer" in text


def test_a_network_without_a_hash_is_taken_as_it_is() -> None:
    app = project(service("web"))
    there = network(app, "default")
    del there["Labels"]["com.docker.compose.config-hash"]
    assert str(up(app, state(app, container(app, "web"), networks=False, extra_networks=(there,)))) == ""


def test_an_external_volume_must_be_there() -> None:
    app = replace(
        project(service("web", volumes=(volume("data"),))), volumes={"data": VolumeConfig(name="kept", external=True)}
    )
    with pytest.raises(ComposeError, match=r'^external volume "kept" not found$'):
        up(app, state(app))
    assert "Volume" not in str(up(app, state(app, extra_volumes=({"Name": "kept"},))))


def test_a_volume_of_another_project_is_used_with_a_warning() -> None:
    app = project(service("web", volumes=(volume("data"),)))
    there = named_volume(app, "data")
    there["Labels"]["com.docker.compose.project"] = "other"
    plan = up(app, state(app, volumes=False, extra_volumes=(there,)))
    assert 'was created for project "other" (expected "app")' in plan.warnings[0]


def test_a_diverged_volume_is_replaced_only_after_a_question() -> None:
    app = project(service("db", volumes=(volume("data"),)), service("web", needs=("db",)))
    observed = state(app, *everything(app), volumes=False, extra_volumes=(named_volume(app, "data", changed=True),))
    plan = up(app, observed)
    cause = "volume data configuration changed"
    assert str(plan) == dedent(f"""\
        [] -> #1 service:db:1, StopContainer, {cause}
        [1] -> #2 service:db:1, RemoveContainer, {cause}
        [2] -> #3 volume:data, RemoveVolume, configuration changed
        [3] -> #4 volume:data, CreateVolume, configuration changed
        [2,4] -> #5 service:db:1, CreateContainer, {cause}
        [5] -> #6 service:db:1, StartContainer, {cause}
        """)
    assert plan.questions() == (
        Question(
            text='Volume "app_data" exists but doesn\'t match configuration in compose file. Recreate (data will be lost)?',
            resource="volume app_data",
        ),
    )


def test_a_declined_volume_stays_as_it_is() -> None:
    app = project(service("db", volumes=(volume("data"),)))
    observed = state(app, *everything(app), volumes=False, extra_volumes=(named_volume(app, "data", changed=True),))
    assert str(up(app, observed, UpOptions(declined=frozenset({"volume app_data"})))) == ""


def test_networks_and_volumes_that_are_right_need_nothing() -> None:
    app = project(service("db", volumes=(volume("data"),)))
    assert str(up(app, all_up(app))) == ""

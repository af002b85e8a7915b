"""`run`: a container beside the standing ones."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

from compose.reconcile.options import RunOptions
from compose.reconcile.plan_run import run
from tests.kit.states import all_up, port, project, service, state

SLUG = "0123456789abcdef" * 4


def options(**said: Any) -> RunOptions:
    return RunOptions(**{"service": "web", "slug": SLUG, **said})


def test_what_the_service_needs_is_brought_up_first() -> None:
    app = project(service("db"), service("web", needs={"db": "healthy"}), service("other"))
    assert str(run(app, state(app, networks=False), options())) == dedent("""\
        [] -> #1 network:default, CreateNetwork, missing
        [1] -> #2 service:db:1, CreateContainer, missing
        [2] -> #3 service:db:1, StartContainer, missing
        [1] -> #4 container:app-web-run-0123456789ab, CreateContainer, run
        [3] -> #5 service:db:1, WaitContainer, web depends on db being healthy
        [4,5] -> #6 container:app-web-run-0123456789ab, StartContainer, run
        """)


def test_no_deps_makes_only_the_one_off() -> None:
    app = project(service("db"), service("web", needs=("db",)))
    assert str(run(app, state(app), options(no_deps=True, start=False))) == (
        "[] -> #1 container:app-web-run-0123456789ab, CreateContainer, run\n"
    )


def test_a_one_off_has_its_own_labels_name_and_no_number() -> None:
    app = project(service("web", container_name="custom", labels={"a": "b"}))
    args = run(app, all_up(app), options()).operations[0].args
    said = args["Config"]["Labels"]
    assert args["Name"] == "app-web-run-0123456789ab"
    assert said["com.docker.compose.oneoff"] == "True"
    assert said["com.docker.compose.slug"] == SLUG
    assert "com.docker.compose.container-number" not in said
    assert args["EndpointsConfig"]["app_default"]["Aliases"] == ["app-web-run-0123456789ab"]
    assert run(app, all_up(app), options(name="mine")).operations[0].args["Name"] == "mine"


def test_ports_and_restart_are_dropped_and_the_command_line_wins() -> None:
    app = project(
        service(
            "web",
            ports=(port("80"),),
            restart="always",
            command=("old",),
            entrypoint=("e",),
            environment={"A": "1"},
            cap_add=("X", "Y"),
        )
    )
    args = (
        run(
            app,
            all_up(app),
            options(command=("new",), environment={"A": "2"}, cap_drop=("X",), tty=True, auto_remove=True, user="u"),
        )
        .operations[0]
        .args
    )
    assert args["Config"]["Cmd"] == ["new"]
    assert args["Config"]["Entrypoint"] == ["e"]
    assert args["Config"]["Env"] == ["A=2"]
    assert args["Config"]["User"] == "u"
    assert args["Config"]["Tty"]
    assert args["Config"]["AttachStdin"]
    host = args["HostConfig"]
    assert (host["CapAdd"], host["CapDrop"], host["AutoRemove"]) == (["Y"], ["X"], True)
    assert "PortBindings" not in host
    assert "RestartPolicy" not in host


def test_an_entrypoint_of_the_command_line_clears_the_command() -> None:
    app = project(service("web", command=("old",)))
    config = run(app, all_up(app), options(entrypoint=("sh",))).operations[0].args["Config"]
    assert (config["Entrypoint"], config["Cmd"]) == (["sh"], [])


def test_service_ports_and_published_ports_are_added_when_asked() -> None:
    app = project(service("web", ports=(port("80"),)))
    args = run(app, all_up(app), options(service_ports=True, publish=(port("9000", 9),))).operations[0].args
    assert set(args["HostConfig"]["PortBindings"]) == {"80/tcp", "9/tcp"}

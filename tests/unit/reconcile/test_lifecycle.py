"""stop, start, restart, kill, rm, pause: containers as they are."""

from __future__ import annotations

from textwrap import dedent
from typing import Any

import pytest

from compose.errors import ComposeError, NoSuchService
from compose.model.healthcheck import HealthCheckConfig
from compose.model.hook import ServiceHook
from compose.reconcile import plan_lifecycle as lifecycle
from compose.reconcile.options import KillOptions, RemoveOptions, RestartOptions, StartOptions, StopOptions
from tests.kit.states import all_up, container, one_off, project, service, state


def chain() -> Any:
    return project(service("db"), service("api", needs=("db",)), service("web", needs={"api": "restart"}))


def test_stop_goes_in_reverse_order() -> None:
    app = chain()
    assert str(lifecycle.stop(app, all_up(app))) == dedent("""\
        [] -> #1 service:web:1, StopContainer, stop
        [1] -> #2 service:api:1, StopContainer, stop
        [2] -> #3 service:db:1, StopContainer, stop
        """)


def test_stop_of_two_keeps_the_order_over_the_one_between() -> None:
    app = chain()
    assert str(lifecycle.stop(app, all_up(app), StopOptions(services=("db", "web")))) == dedent("""\
        [] -> #1 service:web:1, StopContainer, stop
        [1] -> #2 service:db:1, StopContainer, stop
        """)


def test_stop_leaves_one_offs_and_stopped_containers_alone() -> None:
    app = project(service("web"))
    assert str(lifecycle.stop(app, state(app, container(app, "web", status="exited"), one_off(app, "web")))) == ""


@pytest.mark.parametrize("call", [lifecycle.stop, lifecycle.start, lifecycle.restart, lifecycle.kill, lifecycle.remove])
def test_an_unknown_service_is_an_error(call: Any) -> None:
    app = project(service("web"))
    options = {
        lifecycle.stop: StopOptions,
        lifecycle.start: StartOptions,
        lifecycle.restart: RestartOptions,
        lifecycle.kill: KillOptions,
        lifecycle.remove: RemoveOptions,
    }[call]
    for files in (app, None):
        with pytest.raises(NoSuchService, match=r"^no such service: nope"):
            call(files, all_up(app), options(services=("nope",)))


def stopped(app: Any, **said: Any) -> Any:
    return state(app, *(container(app, name, status="exited", **said) for name in app.services))


def test_start_goes_in_dependency_order_and_waits_for_conditions() -> None:
    app = project(
        service("db", healthcheck=HealthCheckConfig(test=("CMD", "x"))),
        service("web", needs={"db": "healthy"}, post_start=(ServiceHook(command=("hi",)),)),
    )
    assert str(lifecycle.start(app, stopped(app, exit_code=137))) == dedent("""\
        [] -> #1 service:db:1, StartContainer, exited (137)
        [1] -> #2 service:db:1, WaitContainer, web depends on db being healthy
        [2] -> #3 service:web:1, StartContainer, exited (137)
        [3] -> #4 service:web:1, RunHook, post_start hook
        """)


def test_start_without_files_takes_the_order_from_labels() -> None:
    app = chain()
    assert str(lifecycle.start(None, stopped(app))) == str(lifecycle.start(app, stopped(app)))


def test_start_of_one_service_starts_what_it_needs() -> None:
    app = chain()
    text = str(lifecycle.start(app, stopped(app), StartOptions(services=("api",))))
    assert "db" in text
    assert "web" not in text


def test_start_may_wait_in_the_end() -> None:
    app = project(service("web"))
    assert "--wait until web is running or healthy" in str(
        lifecycle.start(app, stopped(app), StartOptions(wait=True, wait_timeout=3))
    )


def test_a_service_without_containers_cannot_be_started() -> None:
    app = project(service("db"), service("web"))
    with pytest.raises(ComposeError, match=r'^service "db" has no container to start$'):
        lifecycle.start(app, state(app))
    with pytest.raises(ComposeError, match=r'^service "web" has no container to start$'):
        lifecycle.start(app, state(app, container(app, "db")), StartOptions(services=("web",)))
    plan = lifecycle.start(app, state(app, container(app, "db", status="exited")))
    assert plan.warnings == ('service "web" has no container to start',)


def test_a_missing_dependency_is_an_error_if_it_is_required() -> None:
    app = project(service("db"), service("web", needs={"db": "healthy"}))
    with pytest.raises(ComposeError, match=r"^web is missing dependency db$"):
        lifecycle.start(app, state(app, container(app, "web", status="exited")))


def test_restart_stops_and_starts_with_those_who_want_to_be_restarted_too() -> None:
    app = chain()
    assert str(lifecycle.restart(app, all_up(app), RestartOptions(services=("api",)))) == dedent("""\
        [] -> #1 service:web:1, StopContainer, depends on api
        [1] -> #2 service:api:1, StopContainer, restart
        [2] -> #3 service:api:1, StartContainer, restart
        [1,3] -> #4 service:web:1, StartContainer, depends on api
        """)
    assert str(lifecycle.restart(app, all_up(app), RestartOptions(services=("api",), no_deps=True))) == dedent("""\
        [] -> #1 service:api:1, StopContainer, restart
        [1] -> #2 service:api:1, StartContainer, restart
        """)


def test_what_a_restart_stops_keeps_its_sandbox_and_what_stop_stops_does_not() -> None:
    app = chain()

    def kept(plan: Any) -> set[Any]:
        return {each.args.get("Restart") for each in plan.operations if each.kind == "StopContainer"}

    assert kept(lifecycle.restart(app, all_up(app))) == {True}
    assert kept(lifecycle.stop(app, all_up(app))) == {None}


def test_restart_of_all_restarts_independent_services_side_by_side() -> None:
    app = project(service("db"), service("web", needs=("db",)))
    assert str(lifecycle.restart(app, all_up(app))) == dedent("""\
        [] -> #1 service:web:1, StopContainer, restart
        [] -> #2 service:db:1, StopContainer, restart
        [2] -> #3 service:db:1, StartContainer, restart
        [1] -> #4 service:web:1, StartContainer, restart
        """)


def test_restart_runs_hooks_and_starts_what_had_stopped() -> None:
    hook = (ServiceHook(command=("x",)),)
    app = project(service("web", pre_stop=hook, post_start=hook))
    assert str(lifecycle.restart(app, all_up(app))) == dedent("""\
        [] -> #1 service:web:1, RunHook, pre_stop hook
        [1] -> #2 service:web:1, StopContainer, restart
        [2] -> #3 service:web:1, StartContainer, restart
        [3] -> #4 service:web:1, RunHook, post_start hook
        """)
    assert "[] -> #1 service:web:1, StartContainer, restart" in str(lifecycle.restart(app, stopped(app)))


def test_kill_reaches_one_offs_and_nothing_that_has_ended() -> None:
    app = project(service("db"), service("web"))
    observed = state(app, container(app, "db"), container(app, "web", status="exited"), one_off(app, "web"))
    plan = lifecycle.kill(app, observed, KillOptions(signal="SIGHUP"))
    assert str(plan) == dedent("""\
        [] -> #1 service:db:1, KillContainer, kill -s SIGHUP
        [] -> #2 container:app-web-run-0123456789ab, KillContainer, kill -s SIGHUP
        """)
    assert plan.operations[0].args["Signal"] == "SIGHUP"
    assert lifecycle.kill(app, state(app)).warnings == ("no container to kill",)


def test_rm_asks_once_for_all_that_has_stopped() -> None:
    app = project(service("db"), service("web", scale=2))
    observed = state(
        app, container(app, "db"), container(app, "web", 1, status="exited"), container(app, "web", 2, status="created")
    )
    plan = lifecycle.remove(app, observed)
    assert str(plan) == dedent("""\
        [] -> #1 service:web:1, RemoveContainer, rm
        [] -> #2 service:web:2, RemoveContainer, rm
        """)
    assert [question.text for question in plan.questions()] == ["Going to remove app-web-1, app-web-2"]
    assert lifecycle.remove(app, observed, RemoveOptions(force=True)).questions() == ()
    assert lifecycle.remove(app, all_up(app)).warnings == ("No stopped containers",)


def test_rm_with_stop_stops_first() -> None:
    app = project(service("db"), service("web", needs=("db",)))
    assert str(lifecycle.remove(app, all_up(app), RemoveOptions(stop=True, force=True, volumes=True))) == dedent("""\
        [] -> #1 service:web:1, StopContainer, rm --stop
        [1] -> #2 service:db:1, StopContainer, rm --stop
        [2] -> #3 service:db:1, RemoveContainer, rm
        [1] -> #4 service:web:1, RemoveContainer, rm
        """)


def test_start_of_a_project_without_files_and_containers_is_an_error() -> None:
    with pytest.raises(ComposeError, match=r'^no container found for project "app": not found$'):
        lifecycle.start(None, state(project()))


def test_pause_and_unpause_take_only_what_they_can() -> None:
    app = project(service("db"), service("web"))
    observed = state(app, container(app, "db"), container(app, "web", status="paused"))
    assert str(lifecycle.pause(app, observed)) == "[] -> #1 service:db:1, PauseContainer, pause\n"
    assert str(lifecycle.unpause(app, observed)) == "[] -> #1 service:web:1, UnpauseContainer, unpause\n"
    assert str(lifecycle.pause(app, observed, ("web",))) == ""

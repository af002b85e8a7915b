"""Conditions, hooks and `--wait`."""

from __future__ import annotations

import itertools
from textwrap import dedent

from compose.model.healthcheck import HealthCheckConfig
from compose.model.hook import ServiceHook
from compose.reconcile.options import UpOptions
from compose.reconcile.planner import up
from tests.kit.states import all_up, container, project, service, state

CHECKED = HealthCheckConfig(test=("CMD", "true"))


def test_a_dependent_starts_when_every_replica_is_healthy() -> None:
    app = project(service("db", scale=2, healthcheck=CHECKED), service("web", needs={"db": "healthy"}))
    plan = up(app, state(app), UpOptions(wait_timeout=9))
    assert str(plan) == dedent("""\
        [] -> #1 service:db:1, CreateContainer, missing
        [] -> #2 service:db:2, CreateContainer, missing
        [] -> #3 service:web:1, CreateContainer, missing
        [1] -> #4 service:db:1, StartContainer, missing
        [2] -> #5 service:db:2, StartContainer, missing
        [4,5] -> #6 service:db:1, WaitContainer, web depends on db being healthy
        [4,5] -> #7 service:db:2, WaitContainer, web depends on db being healthy
        [3,6,7] -> #8 service:web:1, StartContainer, missing
        """)
    assert plan.operations[5].args == {
        "Containers": ["app-db-1"],
        "Condition": "healthy",
        "Service": "db",
        "Timeout": 9,
    }


def test_one_wait_serves_all_who_ask_for_the_same() -> None:
    app = project(service("db"), service("a", needs={"db": "healthy"}), service("b", needs={"db": "healthy"}))
    waits = [each for each in up(app, state(app)) if each.kind == "WaitContainer"]
    assert [each.cause for each in waits] == ["a, b depend on db being healthy"]


def test_completion_is_one_wait_for_the_whole_service() -> None:
    app = project(service("job", scale=2), service("web", needs={"job": "completed"}))
    wait = next(each for each in up(app, state(app)) if each.kind == "WaitContainer")
    assert wait.args == {"Containers": ["app-job-1", "app-job-2"], "Condition": "completed", "Service": "job"}
    assert str(wait) == "[4,5] -> #6 service:job, WaitContainer, web depends on job being completed"


def test_an_optional_dependency_may_fail() -> None:
    app = project(service("db"), service("web", needs={"db": "healthy optional"}))
    assert "service:db:1, WaitContainer?, web depends on db being healthy" in str(up(app, state(app)))


def test_a_condition_that_holds_already_costs_nothing() -> None:
    app = project(service("db", healthcheck=CHECKED), service("web", needs={"db": "healthy"}))
    assert str(up(app, all_up(app))) == ""


def test_a_running_dependent_still_asks_for_an_unhealthy_dependency() -> None:
    app = project(service("db", healthcheck=CHECKED), service("web", needs={"db": "healthy"}))
    observed = state(app, container(app, "db", health="unhealthy"), container(app, "web"))
    assert str(up(app, observed)) == "[] -> #1 service:db:1, WaitContainer, web depends on db being healthy\n"


def test_a_one_shot_runs_again_on_every_up() -> None:
    app = project(service("job"), service("web", needs={"job": "completed"}))
    observed = state(app, container(app, "job", status="exited"), container(app, "web", status="exited"))
    assert str(up(app, observed)) == dedent("""\
        [] -> #1 service:job:1, StartContainer, exited (0)
        [1] -> #2 service:job:1, WaitContainer, web depends on job being completed
        [2] -> #3 service:web:1, StartContainer, exited (0)
        """)


def test_a_chain_of_health_is_a_chain_in_the_plan() -> None:
    names = ["a", "b", "c"]
    app = project(
        service("a"),
        *(service(name, needs={before: "healthy"}) for before, name in itertools.pairwise(names)),
    )
    assert str(up(app, state(app))) == dedent("""\
        [] -> #1 service:a:1, CreateContainer, missing
        [] -> #2 service:b:1, CreateContainer, missing
        [] -> #3 service:c:1, CreateContainer, missing
        [1] -> #4 service:a:1, StartContainer, missing
        [4] -> #5 service:a:1, WaitContainer, b depends on a being healthy
        [2,5] -> #6 service:b:1, StartContainer, missing
        [6] -> #7 service:b:1, WaitContainer, c depends on b being healthy
        [3,7] -> #8 service:c:1, StartContainer, missing
        """)


def test_wait_waits_for_all_in_the_end_and_for_completion_where_that_is_asked() -> None:
    app = project(service("job"), service("web", needs={"job": "completed"}))
    observed = state(app)
    assert str(up(app, observed, UpOptions(wait=True))) == dedent("""\
        [] -> #1 service:job:1, CreateContainer, missing
        [] -> #2 service:web:1, CreateContainer, missing
        [1] -> #3 service:job:1, StartContainer, missing
        [3] -> #4 service:job:1, WaitContainer, web depends on job being completed
        [2,4] -> #5 service:web:1, StartContainer, missing
        [5] -> #6 service:web:1, WaitContainer, --wait until web is running or healthy
        """)


def test_wait_asks_nothing_of_what_runs_already() -> None:
    app = project(service("db", healthcheck=CHECKED), service("web"))
    assert str(up(app, all_up(app), UpOptions(wait=True))) == ""
    starting = state(app, container(app, "db", health="starting"), container(app, "web"))
    assert str(up(app, starting, UpOptions(wait=True))) == (
        "[] -> #1 service:db:1, WaitContainer, --wait until db is running or healthy\n"
    )


def test_hooks_after_the_start_come_before_dependents() -> None:
    hooks = (ServiceHook(command=("a",), user="root"), ServiceHook(command=("b",), environment={"X": "1"}))
    app = project(service("db", post_start=hooks), service("web", needs=("db",)))
    plan = up(app, state(app))
    assert str(plan) == dedent("""\
        [] -> #1 service:db:1, CreateContainer, missing
        [] -> #2 service:web:1, CreateContainer, missing
        [1] -> #3 service:db:1, StartContainer, missing
        [3] -> #4 service:db:1, RunHook, post_start hook 1 of 2
        [4] -> #5 service:db:1, RunHook, post_start hook 2 of 2
        [2,5] -> #6 service:web:1, StartContainer, missing
        """)
    assert plan.operations[3].args == {
        "Container": "app-db-1",
        "Hook": "post_start",
        "Command": ["a"],
        "User": "root",
        "Privileged": False,
        "WorkingDir": "",
        "Environment": [],
    }
    assert plan.operations[4].args["Environment"] == ["X=1"]


def test_hooks_before_the_stop_run_on_scale_down_while_the_container_runs() -> None:
    app = project(service("web", scale=0, pre_stop=(ServiceHook(command=("bye",)),)))
    assert str(up(app, state(app, container(app, "web")))) == dedent("""\
        [] -> #1 service:web:1, RunHook, pre_stop hook
        [1] -> #2 service:web:1, StopContainer, scale 1 -> 0
        [2] -> #3 service:web:1, RemoveContainer, scale 1 -> 0
        """)
    assert "RunHook" not in str(up(app, state(app, container(app, "web", status="exited"))))

"""A plan that another command has overtaken is made anew from what there is then."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from tests.kit.fakeengine import container

if TYPE_CHECKING:
    from tests.kit.fakeengine import Exchange, FakeEngine
    from tests.unit.cli.conftest import CommandLine


def overtaken(engine: FakeEngine, times: int) -> list[dict[str, Any]]:
    """Let the engine call plans stale so many times; each time another command has changed the project."""
    plans: list[dict[str, Any]] = []
    accept = engine.routes["POST /v1/plan"]

    def submit(exchange: Exchange) -> None:
        plans.append(exchange.json())
        if len(plans) > times:
            accept(exchange)
            return
        engine.containers = [container("web", len(plans))]
        engine.generation = f"x.{len(plans)}"
        exchange.begin_stream()
        exchange.line({"status": "stale", "text": "project app was changed"})
        exchange.end_stream()

    engine.routes["POST /v1/plan"] = submit
    return plans


def test_it_is_planned_anew_from_what_is_there_now(engine: FakeEngine, pycompose: CommandLine) -> None:
    engine.containers = [container("db")]
    plans = overtaken(engine, 2)
    assert pycompose("stop").code == 0
    assert [plan["generation"] for plan in plans] == ["x.0", "x.1", "x.2"]
    assert [plan["operations"][0]["resource"] for plan in plans] == [
        "container app-db-1",
        "container app-web-1",
        "container app-web-2",
    ]


def test_it_gives_up_on_a_project_that_never_rests(engine: FakeEngine, pycompose: CommandLine) -> None:
    engine.containers = [container("db")]
    overtaken(engine, 1000)
    ran = pycompose("stop")
    assert (ran.code, ran.err) == (1, "project app keeps being changed by other commands: nothing was done\n")


def test_a_plan_names_the_command_for_those_who_have_to_wait(engine: FakeEngine, pycompose: CommandLine) -> None:
    engine.containers = [container("db")]
    plans = overtaken(engine, 0)
    pycompose("stop")
    assert plans[0]["by"] == f'"pycompose stop" (pid {os.getpid()})'

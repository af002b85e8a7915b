"""The plan executor: order, concurrency, failure, cancellation."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from runtime.engine import executor as module
from runtime.engine.executor import Executor
from runtime.engine.operations import Outcome
from runtime.errors import Conflict, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class World:
    """Operations that only note what happened; `Gate` ones wait until they are let go."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.gates: dict[str, asyncio.Event] = {}

    async def do(self, engine: Any, args: dict[str, Any], waiting: Callable[[str], None]) -> Outcome:
        name = args["name"]
        self.log.append(f"begin {name}")
        if args.get("gate"):
            await self.gates.setdefault(name, asyncio.Event()).wait()
        if args.get("fail"):
            raise Conflict(f"{name} is taken")
        self.log.append(f"end {name}")
        return Outcome(changed=not args.get("same"))


def operation(number: int, *depends: int, optional: bool = False, **args: Any) -> dict[str, Any]:
    return {
        "id": number,
        "kind": "WaitContainer" if args.get("wait") else "StartContainer",
        "resource": f"container c{number}",
        "cause": "missing",
        "depends": list(depends),
        "args": {"name": f"c{number}", **args},
        "optional": optional,
    }


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    table: dict[str, Callable[..., Awaitable[Outcome]]] = {"StartContainer": made.do, "WaitContainer": made.do}
    monkeypatch.setattr(module, "OPERATIONS", table)
    return made


def execute(
    operations: list[dict[str, Any]], project: str = "p", gone: asyncio.Event | None = None
) -> list[dict[str, Any]]:
    async def main() -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        await Executor(None).execute(
            {"project": project, "operations": operations}, events.append, gone or asyncio.Event()
        )
        return events

    return asyncio.run(main())


def statuses(events: list[dict[str, Any]], number: int) -> list[str]:
    return [event["status"] for event in events if event.get("op") == number]


def test_an_operation_begins_when_all_it_depends_on_is_done(world: World) -> None:
    events = execute([operation(1), operation(2, 1), operation(3, 1, 2)])
    assert world.log == ["begin c1", "end c1", "begin c2", "end c2", "begin c3", "end c3"]
    assert events[-1] == {"status": "finished", "at": events[-1]["at"]}


def test_independent_operations_run_at_the_same_time(world: World) -> None:
    async def main() -> None:
        events: list[dict[str, Any]] = []
        plan = {"project": "p", "operations": [operation(1, gate=True), operation(2), operation(3, 2)]}
        running = asyncio.ensure_future(Executor(None).execute(plan, events.append, asyncio.Event()))
        for _ in range(10):
            await asyncio.sleep(0)
        assert "end c3" in world.log
        world.gates["c1"].set()
        await running

    asyncio.run(main())
    assert world.log[-1] == "end c1"


def test_a_failure_cancels_what_has_not_begun_and_is_told_last(world: World) -> None:
    events = execute([operation(1, fail=True), operation(2, 1), operation(3)])
    assert statuses(events, 1) == ["started", "failed"]
    assert statuses(events, 2) == ["cancelled"]
    assert statuses(events, 3) == ["started", "done"]
    assert events[-1]["error"]["message"] == "c1 is taken"


def test_an_optional_failure_is_a_warning_and_the_plan_goes_on(world: World) -> None:
    events = execute([operation(1, fail=True, optional=True), operation(2, 1)])
    assert statuses(events, 1) == ["started", "warning"]
    assert statuses(events, 2) == ["started", "done"]
    assert "error" not in events[-1]


def test_what_was_so_already_is_told_as_unchanged(world: World) -> None:
    assert statuses(execute([operation(1, same=True)]), 1) == ["started", "unchanged"]


def test_when_the_client_leaves_waits_end_and_nothing_new_begins(world: World) -> None:
    async def main() -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        gone = asyncio.Event()
        plan = {"project": "p", "operations": [operation(1, gate=True, wait=True), operation(2, 1)]}
        running = asyncio.ensure_future(Executor(None).execute(plan, events.append, gone))
        await asyncio.sleep(0.01)
        gone.set()
        await asyncio.wait_for(running, 5)
        return events

    events = asyncio.run(main())
    assert statuses(events, 1) == ["started", "cancelled"]
    assert statuses(events, 2) == ["cancelled"]


def test_plans_of_one_project_take_turns_and_the_second_is_told(world: World) -> None:
    async def main() -> list[dict[str, Any]]:
        one = Executor(None)
        first: list[dict[str, Any]] = []
        second: list[dict[str, Any]] = []
        slow = {"project": "p", "operations": [operation(1, gate=True)]}
        quick = {"project": "p", "operations": [operation(2)]}
        tasks = [asyncio.ensure_future(one.execute(slow, first.append, asyncio.Event()))]
        await asyncio.sleep(0.01)
        tasks.append(asyncio.ensure_future(one.execute(quick, second.append, asyncio.Event())))
        await asyncio.sleep(0.01)
        assert "begin c2" not in world.log
        world.gates["c1"].set()
        await asyncio.gather(*tasks)
        return second

    second = asyncio.run(main())
    assert second[0]["status"] == "queued"
    assert second[0]["text"] == "waiting for another plan (1 StartContainer), which is changing project p"


@pytest.mark.parametrize(
    ("operations", "message"),
    [
        ([operation(1, 2), operation(2, 1)], "in a circle"),
        ([operation(1, 9)], "depends on 9, which is not there"),
        ([operation(1), operation(1)], "the same id"),
        ([{**operation(1), "kind": "Nonsense"}], "unknown operation Nonsense"),
    ],
)
def test_a_plan_that_is_no_graph_is_refused_whole(world: World, operations: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        execute(operations)
    assert world.log == []


def test_no_more_operations_run_at_a_time_than_the_plan_allows(world: World) -> None:
    async def main() -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        plan: Any = {"project": "p", "limit": 2, "operations": [operation(n, gate=True) for n in range(1, 6)]}
        running = asyncio.ensure_future(Executor(None).execute(plan, events.append, asyncio.Event()))
        for number in range(1, 6):
            while f"begin c{number}" not in world.log:  # noqa: ASYNC110 - what is awaited is a line of a log
                await asyncio.sleep(0)
            assert len([line for line in world.log if line.startswith("begin")]) <= number + 1
            world.gates[f"c{number}"].set()
        await running
        return events

    events = asyncio.run(main())
    assert all(statuses(events, number)[-1] == "done" for number in range(1, 6))
    assert "error" not in events[-1]


def test_waits_do_not_count_and_a_failure_leaves_the_rest_undone(world: World) -> None:
    plan = [operation(1, wait=True), operation(2, fail=True), operation(3), operation(4)]

    async def main() -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        limited: Any = {"project": "p", "limit": 1, "operations": plan}
        await Executor(None).execute(limited, events.append, asyncio.Event())
        return events

    events = asyncio.run(main())
    assert "end c1" in world.log
    assert [statuses(events, number)[-1] for number in (2, 3, 4)] == ["failed", "cancelled", "cancelled"]


def test_a_plan_that_another_one_has_overtaken_is_not_begun(world: World) -> None:
    async def main() -> list[list[dict[str, Any]]]:
        executor = Executor(None)
        generation = executor.generation("p")
        told: list[list[dict[str, Any]]] = [[], []]
        plans: list[Any] = [
            {"project": "p", "generation": generation, "operations": [operation(number)], "by": f'"up" (pid {number})'}
            for number in (1, 2)
        ]
        await asyncio.gather(*(executor.execute(plan, told[n].append, asyncio.Event()) for n, plan in enumerate(plans)))
        assert executor.generation("p") != generation
        assert executor.generation("q") == generation
        await executor.execute({**plans[1], "generation": executor.generation("p")}, told[1].append, asyncio.Event())
        return told

    first, second = asyncio.run(main())
    assert first[-1]["status"] == "finished"
    assert [event["status"] for event in second] == ["queued", "stale", "started", "done", "finished"]
    assert second[0]["text"] == 'waiting for "up" (pid 1), which is changing project p'
    assert world.log == ["begin c1", "end c1", "begin c2", "end c2"]


@pytest.mark.parametrize("harmless", [{"same": True}, {"wait": True}])
def test_a_plan_that_changed_nothing_overtakes_none(world: World, harmless: dict[str, Any]) -> None:
    async def main() -> bool:
        executor = Executor(None)
        before = executor.generation("p")
        await executor.execute({"project": "p", "operations": [operation(1, **harmless)]}, print, asyncio.Event())
        return executor.generation("p") == before

    assert asyncio.run(main())


def test_a_failed_operation_may_have_changed_something(world: World) -> None:
    async def main() -> bool:
        executor = Executor(None)
        before = executor.generation("p")
        await executor.execute({"project": "p", "operations": [operation(1, fail=True)]}, print, asyncio.Event())
        return executor.generation("p") == before

    assert not asyncio.run(main())


def test_a_client_that_left_while_its_plan_waited_has_nothing_done(world: World) -> None:
    gone = asyncio.Event()
    gone.set()
    events = execute([operation(1), operation(2)], gone=gone)
    assert world.log == []
    assert [event["status"] for event in events] == ["cancelled", "cancelled", "finished"]

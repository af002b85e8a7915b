"""Executes a plan: operations run as soon as what they depend on is done, all that can at once.

The executor decides nothing. A failed operation ends the plan: what has not begun is cancelled, what runs finishes.
Plans of one project run one after the other; the second is told for whom it waits. If the first changed anything, the
second was made from a state that is no more: it is not begun, its client shall observe and plan anew. What containers
do by themselves (exits, health, restarts) makes no plan stale: operations look at that when they run.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from typing import TYPE_CHECKING, Any, cast

from runtime.engine.log import log
from runtime.engine.operations import OPERATIONS
from runtime.errors import EngineError, InvalidParameter, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.engine.engine import Engine
    from runtime.wire.plan import Operation, Plan, PlanEvent

WAIT = "WaitContainer"
INTERRUPTIBLE = frozenset({WAIT, "PullImage", "PushImage", "BuildImage"})
"""What may end in the middle and leave nothing half done."""


class Executor:
    """The one place that runs plans."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._turns: dict[str, _Turn] = {}
        self._epoch = os.urandom(4).hex()
        """Tells the generations of this engine from those of the one before."""
        self._changes: dict[str, int] = {}
        """Project to the number of plans that changed it."""

    def generation(self, project: str) -> str:
        """Names the state of a project; another one as soon as a plan that changed something has ended."""
        return f"{self._epoch}.{self._changes.get(project, 0)}"

    async def execute(self, plan: Plan, emit: Callable[[PlanEvent], None], gone: asyncio.Event) -> None:
        """Run `plan`; each step is told through `emit`, the last event is `finished` or `stale`. `gone`: the client left.

        Raises InvalidParameter for a plan that is not a DAG of known operations.
        """
        _check(plan["operations"])
        project = plan["project"]
        if not project:
            await _Execution(self.engine, plan, emit, gone).run()
            return
        turn = self._turns.setdefault(project, _Turn())
        if turn.plans:
            emit({"status": "queued", "text": f"waiting for {turn.current}, which is changing project {project}"})
        turn.plans += 1
        try:
            async with turn.lock:
                turn.current = plan.get("by") or f"another plan ({_summary(plan)})"
                await self._take_turn(plan, emit, gone)
        finally:
            turn.plans -= 1
            if not turn.plans:
                del self._turns[project]

    async def _take_turn(self, plan: Plan, emit: Callable[[PlanEvent], None], gone: asyncio.Event) -> None:
        project = plan["project"]
        made_from = plan.get("generation") or ""
        if made_from and made_from != self.generation(project):
            emit({"status": "stale", "text": f"project {project} was changed by another command meanwhile"})
            return
        execution = _Execution(self.engine, plan, emit, gone)
        try:
            await execution.run()
        finally:
            if execution.changed:
                self._changes[project] = self._changes.get(project, 0) + 1


class _Turn:
    """The plans of one project: the running one and how many there are."""

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.current = ""
        self.plans = 0


class _Execution:
    """One plan under way."""

    def __init__(self, engine: Engine, plan: Plan, emit: Callable[[PlanEvent], None], gone: asyncio.Event) -> None:
        self.engine = engine
        self.operations = {operation["id"]: operation for operation in plan["operations"]}
        self.emit_event = emit
        self.gone = gone
        self.began = time.monotonic()
        self.missing = {number: len(operation.get("depends", ())) for number, operation in self.operations.items()}
        self.dependents: dict[int, list[int]] = {number: [] for number in self.operations}
        for number, operation in self.operations.items():
            for dependency in operation.get("depends", ()):
                self.dependents[dependency].append(number)
        self.failure: EngineError | None = None
        self.running: set[asyncio.Task[None]] = set()
        self.limit = int(plan.get("limit") or 0)
        self.ready: deque[int] = deque()
        """What could begin if the plan's limit allowed it."""
        self.working = 0
        self.changed = False
        """Whether something is perhaps not as it was before the plan."""

    async def run(self) -> None:
        leaving = asyncio.ensure_future(self.gone.wait())
        for number, missing in list(self.missing.items()):
            if missing == 0 and not self.gone.is_set():  # it may have left while its plan waited for its turn
                self._begin(number)
        while self.running:
            await asyncio.wait({*self.running, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if self.gone.is_set():
                self._interrupt()
                await asyncio.wait(self.running) if self.running else None
        leaving.cancel()
        await self._drop_sandboxes()
        for number in self.missing:
            self.emit(number, "cancelled")
        finished: PlanEvent = {"status": "finished", "at": self._at()}
        if self.failure is not None:
            finished["error"] = self.failure.to_wire()
        elif self.missing:
            finished["error"] = SystemFailure("cancelled: the client went away").to_wire()
        self.emit_event(finished)

    async def _drop_sandboxes(self) -> None:
        """What was stopped to be started again, and was not: its network goes as after any stop."""
        for operation in self.operations.values():
            if operation["kind"] != "StopContainer" or not operation["args"].get("Restart"):
                continue
            try:
                await self.engine.container(operation["args"]["Container"]).drop_sandbox()
            except EngineError as error:
                log.info("container %s: %s", operation["args"]["Container"], error)

    def _interrupt(self) -> None:
        """The client left: waits and transfers end at once, what changes something finishes."""
        for task in self.running:
            if task.get_name() in INTERRUPTIBLE:
                task.cancel()

    def _begin(self, number: int) -> None:
        operation = self.operations[number]
        if operation["kind"] != WAIT:
            if self.limit and self.working >= self.limit:
                self.ready.append(number)
                return
            self.working += 1
        del self.missing[number]
        task = asyncio.get_running_loop().create_task(self._step(operation), name=operation["kind"])
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        if operation["kind"] != WAIT:
            task.add_done_callback(self._make_room)

    def _make_room(self, _task: asyncio.Task[None]) -> None:
        self.working -= 1
        if self.ready and self.failure is None and not self.gone.is_set():
            self._begin(self.ready.popleft())

    async def _step(self, operation: Operation) -> None:
        number = operation["id"]
        self.emit(number, "started", text=operation.get("cause", ""))
        unchanged = operation["kind"] in INTERRUPTIBLE
        try:
            outcome = await OPERATIONS[operation["kind"]](self.engine, operation["args"], _Voice(self, number))
        except EngineError as error:
            if not self._tolerate(operation, error):
                return
        except asyncio.CancelledError:
            self.emit(number, "cancelled")
            return
        except Exception as error:  # a fault of one operation ends its plan, not the engine
            log.exception("operation %s %s", operation["kind"], operation["resource"])
            if not self._tolerate(operation, SystemFailure(f"{operation['resource']}: {error!r}")):
                return
        else:
            unchanged = unchanged or not outcome.changed
            event: PlanEvent = {"op": number, "status": "done" if outcome.changed else "unchanged", "at": self._at()}
            if outcome.result:
                event["result"] = outcome.result
            if outcome.text:
                event["text"] = outcome.text
            self.emit_event(event)
        finally:
            self.changed = self.changed or not unchanged
        if self.failure is not None or self.gone.is_set():
            return
        for dependent in self.dependents[number]:
            if dependent in self.missing:
                self.missing[dependent] -= 1
                if self.missing[dependent] == 0:
                    self._begin(dependent)

    def _tolerate(self, operation: Operation, error: EngineError) -> bool:
        if operation.get("optional"):
            self.emit(operation["id"], "warning", text=error.message)
            return True
        self.emit(operation["id"], "failed", error=error.to_wire())
        if self.failure is None:
            self.failure = error
        return False

    def emit(self, number: int, status: Any, **fields: Any) -> None:
        """Tell that an operation is at `status`."""
        self.emit_event(cast("PlanEvent", {"op": number, "status": status, "at": self._at(), **fields}))

    def _at(self) -> float:
        return round(time.monotonic() - self.began, 6)


class _Voice:
    """What an operation says while it runs."""

    def __init__(self, execution: _Execution, number: int) -> None:
        self._execution = execution
        self._number = number

    def __call__(self, text: str) -> None:
        self._execution.emit(self._number, "waiting", text=text)

    def progress(self, part: str, text: str, current: int = 0, total: int = 0) -> None:
        self._execution.emit(self._number, "progress", id=part, text=text, current=current, total=total)

    def warn(self, text: str) -> None:
        self._execution.emit(self._number, "warning", text=text)

    def vertex(self, event: dict[str, Any]) -> None:
        self._execution.emit(self._number, "vertex", vertex=event)


def _check(operations: list[Operation]) -> None:
    """Known kinds, unique ids, dependencies that exist, no cycle."""
    numbers = {operation["id"] for operation in operations}
    if len(numbers) != len(operations):
        raise InvalidParameter("plan: two operations have the same id")
    missing: dict[int, int] = {}
    dependents: dict[int, list[int]] = {number: [] for number in numbers}
    for operation in operations:
        if operation["kind"] not in OPERATIONS:
            raise InvalidParameter(f"plan: unknown operation {operation['kind']}")
        depends = operation.get("depends", [])
        missing[operation["id"]] = len(depends)
        for dependency in depends:
            if dependency not in numbers:
                raise InvalidParameter(f"plan: operation {operation['id']} depends on {dependency}, which is not there")
            dependents[dependency].append(operation["id"])
    ready = [number for number, count in missing.items() if count == 0]
    seen = 0
    while ready:
        seen += 1
        for dependent in dependents[ready.pop()]:
            missing[dependent] -= 1
            if missing[dependent] == 0:
                ready.append(dependent)
    if seen != len(operations):
        raise InvalidParameter("plan: its operations depend on each other in a circle")


def _summary(plan: Plan) -> str:
    kinds: dict[str, int] = {}
    for operation in plan["operations"]:
        kinds[operation["kind"]] = kinds.get(operation["kind"], 0) + 1
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items()) or "nothing"

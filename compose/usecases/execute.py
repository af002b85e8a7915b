"""Submit plans and see them through: questions before, progress meanwhile, one error with its place at the end.

When the engine goes away in the middle, what is left is found by observing and planning again, never by remembering.
The same when another command changed the project after the plan was made: then nothing of it was done.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

from compose.usecases.places import with_place
from runtime.errors import Conflict, EngineError, Unavailable, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.model.project import Project
    from compose.reconcile.plan import Plan
    from compose.usecases.report import Reporter
    from runtime.client.client import Client
    from runtime.wire.plan import Operation

MakePlan = "Callable[[frozenset[str]], Plan]"
ATTEMPTS = 3
OVERTAKEN = 30
"""How often other commands may change the project before a plan gets its turn; each time one of them gets on."""
RECONNECT_TIMEOUT = 10.0
End = Literal["done", "lost", "stale"]


def execute(
    client: Client,
    make: Callable[[frozenset[str]], Plan],
    reporter: Reporter,
    *,
    project: Project | None = None,
    dry_run: bool = False,
    assume_yes: bool = False,
) -> Plan:
    """Make a plan and execute it; the plan. `make` observes and plans, given what the user declined.

    Raises the error of the failed operation, with the place in the project's files if it has one.
    """
    attempts: dict[End, int] = {"lost": 0, "stale": 0}
    answers: dict[str, bool] = {}
    while True:
        plan = _answered(make, reporter, answers, assume_yes=assume_yes)
        if not any(attempts.values()):
            for warning in plan.warnings:
                reporter.warn(warning)
        if dry_run:
            reporter.dry_run(plan)
            return plan
        end = submit(client, plan, reporter, project=project)
        if end == "done":
            return plan
        attempts[end] += 1
        if attempts["lost"] == ATTEMPTS:
            raise Unavailable("engine keeps going away while it executes the plan")
        if attempts["stale"] == OVERTAKEN:
            raise Conflict(f"project {plan.project} keeps being changed by other commands: nothing was done")
        if end == "lost":
            reporter.warn("engine went away, going on with what is left to do")
            _await_engine(client)


def submit(client: Client, plan: Plan, reporter: Reporter, *, project: Project | None = None) -> End:
    """Execute a plan; whether it is done, the engine went away before its end, or it was overtaken before its begin.

    Raises the plan's error.
    """
    wire = plan.to_wire()
    operations: dict[int, Operation] = {operation["id"]: operation for operation in wire["operations"]}
    failed: Operation | None = None
    reporter.begin(plan)
    if not operations:
        reporter.end()
        return "done"
    try:
        for event in client.submit(wire):
            if event.get("status") == "finished":
                error = event.get("error")
                if error is None:
                    return "done"
                raise _explained(from_wire(error), failed, project)
            if event.get("status") == "stale":
                return "stale"
            operation = operations.get(event.get("op", -1))
            if operation is None:
                if event.get("text"):
                    reporter.info(event["text"])
                continue
            if event.get("status") == "failed" and failed is None:
                failed = operation
            reporter.event(operation, event)
    except Unavailable:
        if failed is not None or client.is_aborted:
            raise
    finally:
        reporter.end()
    return "lost"


def _answered(
    make: Callable[[frozenset[str]], Plan], reporter: Reporter, answers: dict[str, bool], *, assume_yes: bool
) -> Plan:
    """A plan without open questions; `answers` keeps what was said, by question."""
    declined: frozenset[str] = frozenset()
    while True:
        plan = make(declined)
        if assume_yes:
            return plan
        no: set[str] = set()
        for question in plan.questions():
            if question.text not in answers:
                answers[question.text] = reporter.ask(question.text)
            if not answers[question.text]:
                no.add(question.resource)
        if not no - declined:
            return plan
        declined |= no


def _explained(error: EngineError, operation: Operation | None, project: Project | None) -> EngineError:
    return with_place(error, operation, project) if operation is not None and project is not None else error


def _await_engine(client: Client) -> None:
    """The engine is restarted by its zygote; raises Unavailable if that takes too long."""
    deadline = time.monotonic() + RECONNECT_TIMEOUT
    while True:
        try:
            client.version()
        except Unavailable:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return

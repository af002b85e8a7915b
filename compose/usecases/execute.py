"""Submit plans and see them through: questions before, progress meanwhile, one error with its place at the end.

When the engine goes away in the middle, what is left is found by observing and planning again, never by remembering.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from compose.usecases.places import with_place
from runtime.errors import EngineError, Unavailable, from_wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.model.project import Project
    from compose.reconcile.plan import Plan
    from compose.usecases.report import Reporter
    from runtime.client.client import Client
    from runtime.wire.plan import Operation

MakePlan = "Callable[[frozenset[str]], Plan]"
ATTEMPTS = 3
RECONNECT_TIMEOUT = 10.0


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
    for attempt in range(ATTEMPTS):
        plan = _answered(make, reporter, assume_yes=assume_yes)
        if not attempt:
            for warning in plan.warnings:
                reporter.warn(warning)
        if dry_run:
            reporter.dry_run(plan)
            return plan
        if submit(client, plan, reporter, project=project):
            return plan
        reporter.warn("engine went away, going on with what is left to do")
        _await_engine(client)
    raise Unavailable("engine keeps going away while it executes the plan")


def submit(client: Client, plan: Plan, reporter: Reporter, *, project: Project | None = None) -> bool:
    """Execute a plan; false if the engine went away before its end. Raises the plan's error."""
    wire = plan.to_wire()
    operations: dict[int, Operation] = {operation["id"]: operation for operation in wire["operations"]}
    failed: Operation | None = None
    reporter.begin(plan)
    if not operations:
        reporter.end()
        return True
    try:
        for event in client.submit(wire):
            if event.get("status") == "finished":
                error = event.get("error")
                if error is None:
                    return True
                raise _explained(from_wire(error), failed, project)
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
    return False


def _answered(make: Callable[[frozenset[str]], Plan], reporter: Reporter, *, assume_yes: bool) -> Plan:
    declined: frozenset[str] = frozenset()
    while True:
        plan = make(declined)
        if assume_yes:
            return plan
        no = {question.resource for question in plan.questions() if not reporter.ask(question.text)}
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

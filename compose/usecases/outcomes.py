"""Execute operations that have nothing to do with each other, and tell of each how it went.

`volume rm a b` removes what it can and names what it cannot; a plan of a project would give up at the first failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compose.reconcile.plan import PlanBuilder
from runtime.errors import EngineError, SystemFailure, from_wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compose.reconcile.plan import Operation, Plan
    from runtime.client.client import Client
    from runtime.wire.plan import OperationKind, PlanEvent

ENDED = frozenset({"done", "unchanged", "failed", "cancelled"})


class Outcome(NamedTuple):
    """How one operation of a plan ended."""

    operation: Operation
    changed: bool
    """False where the state was there already, or where there is an error."""
    error: EngineError | None
    result: dict[str, Any]


def removals(kind: OperationKind, names: Sequence[str], cause: str) -> Plan:
    """The plan that removes objects by name (RemoveNetwork, RemoveVolume), each for itself."""
    builder, what = PlanBuilder(), kind.removeprefix("Remove").lower()
    for name in names:
        builder.add(kind, subject=f"{what}:{name}", resource=f"{what} {name}", cause=cause, args={"Name": name})
    return builder.build("")


def submit(client: Client, plan: Plan) -> list[Outcome]:
    """Execute the plan's operations, in their order what came of them. Raises Unavailable if the engine went away."""
    if not plan.operations:
        return []
    ends: dict[int, PlanEvent] = {}
    for event in client.submit(plan.to_wire()):
        if event.get("status") in ENDED and "op" in event:
            ends[event["op"]] = event
    return [_outcome(operation, ends.get(operation.id)) for operation in plan]


def the_only(outcomes: list[Outcome]) -> Outcome:
    """The outcome of a plan with a single operation; raises its error."""
    outcome = outcomes[0]
    if outcome.error is not None:
        raise outcome.error
    return outcome


def _outcome(operation: Operation, event: PlanEvent | None) -> Outcome:
    if event is None or event.get("status") == "cancelled":
        error: EngineError | None = SystemFailure(f"{operation.resource}: given up")
    else:
        error = from_wire(event["error"]) if event.get("error") else None
    found = event or {}
    return Outcome(operation, found.get("status") == "done", error, dict(found.get("result") or {}))

"""Plan the starts: each service as soon as what it depends on is started, healthy or completed.

A condition that the snapshot already shows to hold costs nothing. One that must be waited for is one operation,
whoever waits. `post_start` hooks belong to the start: dependents wait for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.reconcile.claims import Claim, claims, released
from compose.reconcile.plan import Kept
from compose.reconcile.up_draft import PAUSED

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.graph import Edge
    from compose.model.service import ServiceConfig
    from compose.reconcile.draft import Draft
    from compose.reconcile.up_draft import Slot
    from runtime.wire.plan import WaitConditionName

COMPLETED = "service_completed_successfully"
RUNNING_OR_HEALTHY = "running_or_healthy"
WAITS: dict[str, WaitConditionName] = {
    "service_healthy": "healthy",
    COMPLETED: "completed",
    RUNNING_OR_HEALTHY: "running_or_healthy",
}
WORDS = {"healthy": "healthy", "completed": "completed", "running_or_healthy": "running or healthy"}


class Starts:
    """Plans the starts of a draft whose containers are known; call `service` in dependency order."""

    def __init__(self, draft: Draft, slots: dict[str, list[Slot]], *, wait_timeout: int | None = None) -> None:
        self._draft = draft
        self._slots = slots
        self._timeout = wait_timeout
        self._ready: dict[str, tuple[int, ...]] = {}
        self._waits: dict[tuple[str, str, bool], tuple[int, ...]] = {}
        self._released: dict[Claim, list[tuple[str, int]]] = released(draft)

    def service(self, config: ServiceConfig) -> None:
        """Add waits, starts and hooks of one service."""
        gates = self.gates(config.name)
        self._ready[config.name] = tuple(
            operation for slot in self._slots.get(config.name, ()) for operation in self._start(config, slot, gates)
        )

    def gates(self, service: str) -> tuple[int, ...]:
        """What must be done before a container of the service may start."""
        found: dict[int, None] = {}
        for name, edge in self._draft.graph.dependencies(service).items():
            found.update(dict.fromkeys(self._gate(name, edge)))
        return tuple(found)

    def final(self, services: Iterable[str]) -> None:
        """Wait until every service is running or healthy, or has completed if another one depends on that."""
        for name in services:
            needed = {edge.condition for edge in self._draft.graph.dependents(name).values()}
            condition = COMPLETED if COMPLETED in needed else RUNNING_OR_HEALTHY
            cause = f"--wait until {name} is {WORDS[WAITS[condition]]}"
            self._wait(name, condition, required=True, cause=cause)

    def _gate(self, name: str, edge: Edge) -> tuple[int, ...]:
        if edge.condition not in WAITS:
            return self._ready.get(name, ())
        return self._wait(name, edge.condition, required=edge.required, cause=self._cause(name, edge.condition))

    def _cause(self, name: str, condition: str) -> str:
        who = [
            dependent for dependent, edge in self._draft.graph.dependents(name).items() if edge.condition == condition
        ]
        verb = "depends" if len(who) == 1 else "depend"
        return f"{', '.join(who)} {verb} on {name} being {WORDS[WAITS[condition]]}"

    def _wait(self, name: str, condition: str, *, required: bool, cause: str) -> tuple[int, ...]:
        key = (name, condition, required)
        if key not in self._waits:
            slots = [slot for slot in self._slots.get(name, ()) if not _holds(slot, condition)]
            # one exited replica decides over all, so completion is one wait for the whole service
            groups = [slots] if condition == COMPLETED else [[slot] for slot in slots]
            self._waits[key] = tuple(
                self._add_wait(name, group, condition, required=required, cause=cause) for group in groups if group
            )
        return self._waits[key] or self._ready.get(name, ())

    def _add_wait(self, name: str, slots: list[Slot], condition: str, *, required: bool, cause: str) -> int:
        args: dict[str, Any] = {
            "Containers": [slot.reference for slot in slots],
            "Condition": WAITS[condition],
            "Service": name,
        }
        if self._timeout:
            args["Timeout"] = self._timeout
        return self._draft.builder.add(
            "WaitContainer",
            subject=slots[0].subject if len(slots) == 1 else f"service:{name}",
            resource=slots[0].resource,
            cause=cause,
            depends=self._ready.get(name, ()),
            args=args,
            optional=not required,
        )

    def _start(self, config: ServiceConfig, slot: Slot, gates: tuple[int, ...]) -> tuple[int, ...]:
        if not slot.start:
            self._draft.kept.append(Kept(resource=slot.resource, status="Running"))
            return ()
        paused = slot.start == PAUSED
        operation = self._draft.builder.add(
            "UnpauseContainer" if paused else "StartContainer",
            subject=slot.subject,
            resource=slot.resource,
            cause=slot.start,
            depends=(*slot.exists, *gates, *self._taken_over(slot), *self._stopped(slot)),
            args={"Container": slot.reference},
        )
        if paused:
            return (operation,)
        return self._draft.hooks(
            config.post_start,
            "post_start",
            subject=slot.subject,
            resource=slot.resource,
            container=slot.reference,
            after=(operation,),
        )

    def _stopped(self, slot: Slot) -> tuple[int, ...]:
        stop = self._draft.stops.get(slot.reference)
        return () if stop is None or slot.exists else (stop,)

    def _taken_over(self, slot: Slot) -> list[int]:
        if not self._released:
            return []
        holding = claims(slot.body if slot.body is not None else slot.container.raw if slot.container else {})
        return [
            operation
            for claim in holding
            for service, operation in self._released.get(claim, ())
            if service != slot.service
        ]


def _holds(slot: Slot, condition: str) -> bool:
    """Whether the snapshot shows that the condition holds for a container that is left alone."""
    container = slot.container
    if container is None or slot.start or container.status != "running":
        return False
    if condition == "service_healthy":
        return container.health == "healthy"
    return condition == RUNNING_OR_HEALTHY and container.health in ("", "healthy")

"""Hold a plan: operations with their dependencies and causes, as a value with a text form.

An operation may depend only on earlier ones, so a plan is free of cycles by construction; the text form is what tests
compare and `--dry-run` prints:

    [1,2] -> #3 service:web:1, CreateContainer, missing
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.model.record import Record
from compose.reconcile.nothing import NOTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from runtime.wire import plan as wire


class Operation(Record):
    """One step; `subject` names it in the text form (`service:web:1`), `resource` on a progress line."""

    id: int
    kind: wire.OperationKind
    subject: str
    resource: str
    cause: str
    depends: tuple[int, ...] = ()
    args: Mapping[str, Any] = NOTHING
    optional: bool = False
    confirm: str = ""

    def __str__(self) -> str:
        depends = ",".join(map(str, self.depends))
        return f"[{depends}] -> #{self.id} {self.subject}, {self.kind}{'?' * self.optional}, {self.cause}"

    def to_wire(self) -> wire.Operation:
        """The operation as the engine takes it."""
        operation: wire.Operation = {
            "id": self.id,
            "kind": self.kind,
            "resource": self.resource,
            "cause": self.cause,
            "depends": list(self.depends),
            "args": dict(self.args),
        }
        if self.optional:
            operation["optional"] = True
        if self.confirm:
            operation["confirm"] = self.confirm
        return operation


class Question(Record):
    """Something to be answered with yes before the plan is submitted; on no, plan again with `resource` declined."""

    text: str
    resource: str


class Kept(Record):
    """Something that is as it should be, for a progress line: `container app-web-1`, `Running`."""

    resource: str
    status: str


class Plan(Record):
    """Everything one command is going to do, and what there is to say about the rest."""

    project: str
    operations: tuple[Operation, ...] = ()
    kept: tuple[Kept, ...] = ()
    warnings: tuple[str, ...] = ()
    generation: str = ""
    """Of the observed state that it was made from; the engine begins no plan made from a former one."""

    def __str__(self) -> str:
        return "".join(f"{operation}\n" for operation in self.operations)

    def __len__(self) -> int:
        return len(self.operations)

    def __iter__(self) -> Iterator[Operation]:
        return iter(self.operations)

    def questions(self) -> tuple[Question, ...]:
        """The questions to ask, each once."""
        asked = {operation.confirm: operation.resource for operation in reversed(self.operations) if operation.confirm}
        return tuple(Question(text=text, resource=resource) for text, resource in reversed(asked.items()))

    def to_wire(self) -> wire.Plan:
        """The plan as the engine takes it."""
        made: wire.Plan = {
            "project": self.project,
            "operations": [operation.to_wire() for operation in self.operations],
        }
        if self.generation:
            made["generation"] = self.generation
        return made


class PlanBuilder:
    """Collects operations in an order in which they could be executed one by one."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []

    def add(
        self,
        kind: wire.OperationKind,
        *,
        subject: str,
        resource: str,
        cause: str,
        depends: Iterable[int | None] = (),
        args: Mapping[str, Any] | None = None,
        optional: bool = False,
        confirm: str = "",
    ) -> int:
        """Append an operation and return its id; raises ValueError if it depends on one that does not exist yet."""
        number = len(self._operations) + 1
        before = tuple(sorted({operation for operation in depends if operation is not None}))
        if before and not 1 <= before[0] <= before[-1] < number:
            raise ValueError(f"operation {number} depends on {before}")
        operation = Operation(
            id=number,
            kind=kind,
            subject=subject,
            resource=resource,
            cause=cause,
            depends=before,
            args=args or {},
            optional=optional,
            confirm=confirm,
        )
        self._operations.append(operation)
        return number

    def build(
        self, project: str, *, kept: Iterable[Kept] = (), warnings: Iterable[str] = (), generation: str = ""
    ) -> Plan:
        """The finished plan."""
        return Plan(
            project=project,
            operations=tuple(self._operations),
            kept=tuple(kept),
            warnings=tuple(dict.fromkeys(warnings)),
            generation=generation,
        )


def plan_to_wire(plan: Plan) -> wire.Plan:
    """The plan as the engine takes it."""
    return plan.to_wire()

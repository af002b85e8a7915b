"""The plan: a DAG of operations with their causes, as the planner writes it and the engine executes it.

    POST /v1/plan   Plan in, newline-delimited PlanEvent out, the last one of status "finished"

Operations without an unfinished dependency run concurrently. A failed operation fails the plan: operations not begun
are cancelled, running ones finish. Each operation is idempotent and re-checks its precondition when it runs.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

OperationKind = Literal[
    "CreateNetwork",  # Docker's network body: Name, Driver, Options, IPAM, Internal, Attachable, EnableIPv6, Labels
    "RemoveNetwork",  # Name
    "ConnectNetwork",  # Network, Container, EndpointConfig
    "DisconnectNetwork",  # Network, Container
    "CreateVolume",  # Name, Driver, DriverOpts, Labels
    "RemoveVolume",  # Name
    "CreateContainer",  # runtime.wire.containers.CreateContainer
    "StartContainer",  # Container
    "StopContainer",  # Container, Signal?, Timeout? (seconds)
    "KillContainer",  # Container, Signal
    "PauseContainer",  # Container
    "UnpauseContainer",  # Container
    "RemoveContainer",  # Container, Force, Volumes (remove its anonymous volumes)
    "RenameContainer",  # Container, Name
    "WaitContainer",  # Containers, Condition, Timeout? (seconds), Service
    "RunHook",  # Container, Command, User, Privileged, WorkingDir, Environment
    "RemoveImage",  # Image
]
"""The comment names the keys of `args`. Container is a name or an id; containers created earlier in the plan are
named by name."""

WaitConditionName = Literal["started", "healthy", "completed", "exited", "running_or_healthy"]


class Operation(TypedDict, total=False):
    id: int
    kind: OperationKind
    resource: str
    """`container app-web-1`, `network app_default`, `volume app_data`: the key of a progress line."""
    cause: str
    """Why, in words: `missing`, `configuration changed: image`, `web depends on db healthy`."""
    depends: list[int]
    args: dict[str, Any]
    optional: bool
    """A failure is reported as a warning and the plan goes on (operations that depend on it still run)."""
    confirm: str
    """A question the client must have answered with yes before it submits."""


class Plan(TypedDict):
    project: str
    """Plans of one project are executed one at a time; empty: no project, never waits."""
    operations: list[Operation]


PlanStatus = Literal[
    "queued",  # another plan of the project is running; `text` says which
    "started",  # the operation began
    "waiting",  # still at it; `text` says for what (last probe output, grace period)
    "done",
    "unchanged",  # the precondition already held: nothing to do
    "warning",  # optional operation failed or something to tell; `text`
    "failed",  # `error` is EngineError.to_wire()
    "cancelled",  # not begun because another one failed or the client went away
    "finished",  # last event, without `op`; `error` if the plan failed
]


class PlanEvent(TypedDict, total=False):
    op: int
    status: PlanStatus
    text: str
    error: dict[str, Any]
    result: dict[str, Any]
    """CreateContainer: `Id`; RunHook: `ExitCode`, `Output`; WaitContainer(completed, exited): `ExitCode`."""
    at: float
    """Seconds since the plan's start."""

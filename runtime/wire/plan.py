"""The plan: a DAG of operations with their causes, as the planner writes it and the engine executes it.

    POST /v1/plan   Plan in, newline-delimited PlanEvent out, the last one of status "finished" or "stale"

Operations without an unfinished dependency run concurrently. A failed operation fails the plan: operations not begun
are cancelled, running ones finish. Each operation is idempotent and re-checks its precondition when it runs.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

OperationKind = Literal[
    "CreateNetwork",  # Docker's network body: Name, Driver, Options, IPAM, Internal, Attachable, EnableIPv6, Labels
    "RemoveNetwork",  # Name
    "ConnectNetwork",  # Network, Container, EndpointConfig
    "DisconnectNetwork",  # Network, Container
    "CreateVolume",  # Name (empty: made up), Driver, DriverOpts, Labels
    "RemoveVolume",  # Name
    "CreateContainer",  # runtime.wire.containers.CreateContainer
    "StartContainer",  # Container
    "StopContainer",  # Container, Signal?, Timeout? (seconds), Restart? (the plan starts it again: its sandbox stays)
    "KillContainer",  # Container, Signal
    "PauseContainer",  # Container
    "UnpauseContainer",  # Container
    "RemoveContainer",  # Container, Force, Volumes (remove its anonymous volumes)
    "RenameContainer",  # Container, Name
    "WaitContainer",  # Containers, Condition, Timeout? (seconds), Service
    "RunHook",  # Container, Command, User, Privileged, WorkingDir, Environment
    "RemoveImage",  # Image, Force; result: Report (Untagged and Deleted lines), or Missing (a message)
    "BuildImage",  # BuildImageArgs
    "CommitContainer",  # Container, Reference?, Author?, Message?, Changes? (Dockerfile instructions), Pause? (true)
    "ExportFiles",  # Container or Image, Output: absolute path of the tar archive to write
    "PullImage",  # Reference, Platform?, Policy (always, missing), Quiet?, Access? (runtime.wire.registries)
    "PushImage",  # Reference, Quiet?, Access?
]
"""The comment names the keys of `args`. Container is a name or an id; containers created earlier in the plan are
named by name."""

WaitConditionName = Literal["started", "healthy", "completed", "exited", "running_or_healthy"]


class BuildImageArgs(TypedDict, total=False):
    """Arguments of BuildImage. Paths are absolute and on the engine's machine; whatever needs the user's environment has
    been read by the client."""

    Context: str
    """A directory, an archive (any compression; a file that is none is the Dockerfile alone), a git or http(s) URL; empty:
    no context at all."""
    Dockerfile: str
    """Relative to the context, or absolute. Default `Dockerfile`."""
    DockerfileInline: str
    """The Dockerfile's text instead."""
    Tags: list[str]
    Target: str
    BuildArgs: dict[str, str]
    """Values settled: a name without a value has been looked up in the environment, or left out. SOURCE_DATE_EPOCH among
    them makes the result reproducible."""
    Labels: dict[str, str]
    AdditionalContexts: dict[str, str]
    """name -> directory, archive, URL, `docker-image://REFERENCE`, `oci-layout://PATH[:TAG]`."""
    NoCache: bool
    NoCacheFilter: list[str]
    """Names of stages whose steps are run anew."""
    Pull: bool
    Present: list[str]
    """References that Pull does not concern: other builds make them."""
    Check: bool
    """Only read the Dockerfile and tell what is found (`warning` events); no image is made."""
    NetworkMode: Literal["default", "host", "none"]
    Platform: str
    """One, or several with commas between: then the tags stand for an index, and run this machine's."""
    Secrets: list[dict[str, str]]
    """`Id`, `Data` (base64)."""
    SSH: list[dict[str, str]]
    """`Id`, `Socket` (path of an agent's socket)."""
    ExtraHosts: list[str]
    """`name:address`; `host-gateway` is the host."""
    ShmSize: int
    """Bytes."""
    Ulimits: list[dict[str, Any]]
    """`Name`, `Soft`, `Hard`."""
    Privileged: bool
    """`RUN --security=insecure` is allowed."""
    Outputs: list[dict[str, str]]
    """`Type`, `Dest`. The files, as a directory (local) or an archive (tar): with no other, no image is made. Or the image, as
    an archive (docker, oci), an OCI layout directory (layout), or only in the store (image)."""
    CacheFrom: list[str]
    CacheTo: list[str]
    Push: bool
    """All tags are pushed at the end."""
    Access: dict[str, Any]
    """How registries are reached (runtime.wire.registries), for bases that are not here."""


class BuildEvent(TypedDict, total=False):
    """What a step of a build does. Steps are numbered in the order in which they begin; 0 is the build itself."""

    vertex: int
    event: Literal["start", "cached", "done", "failed", "canceled", "log", "status", "warning"]
    name: str
    """With start: `[build 2/4] RUN make`."""
    text: str
    """Output, or a line about its progress, or why it failed."""
    seconds: float
    """Since the step began."""
    rule: str
    line: int


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
    generation: NotRequired[str]
    """`Generation` of the snapshot it was made from: a plan that another one has overtaken meanwhile is not begun but
    answered with `stale`. Absent or empty: executed as it is."""
    by: NotRequired[str]
    """Who sends it, for those who have to wait for it: `"pycompose up" (pid 4711)`."""
    operations: list[Operation]
    limit: NotRequired[int]
    """How many operations may run at the same time, those that only wait not counted; absent or 0: all that can."""


PlanStatus = Literal[
    "queued",  # another plan of the project is running; `text` says whose
    "started",  # the operation began
    "waiting",  # still at it; `text` says for what (last probe output, grace period)
    "progress",  # a part of it, named by `id`, is at `text`, `current` of `total` bytes (0: unknown)
    "vertex",  # a step of a build: `vertex` is a BuildEvent
    "done",
    "unchanged",  # the precondition already held: nothing to do
    "warning",  # optional operation failed or something to tell; `text`
    "failed",  # `error` is EngineError.to_wire()
    "cancelled",  # not begun because another one failed or the client went away
    "stale",  # last event, without `op`: the project was changed after the plan was made, so nothing was done
    "finished",  # last event, without `op`; `error` if the plan failed
]


LAST: frozenset[PlanStatus] = frozenset({"stale", "finished"})


class PlanEvent(TypedDict, total=False):
    op: int
    status: PlanStatus
    text: str
    id: str
    """With `progress`: the layer, by the beginning of its digest; empty for the whole image."""
    current: int
    total: int
    error: dict[str, Any]
    result: dict[str, Any]
    """CreateContainer, CreateNetwork, BuildImage: `Id`; CreateVolume: `Name`; RunHook: `ExitCode`, `Output`;
    PullImage: `Id`, `Digest`; PushImage: `Digest`, `Size`; WaitContainer(completed, exited): `ExitCode`."""
    vertex: BuildEvent
    at: float
    """Seconds since the plan's start."""

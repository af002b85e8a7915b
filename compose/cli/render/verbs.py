"""Say what an operation is doing and what came of it, in the words of Compose's progress lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from runtime.wire.plan import Operation, PlanEvent

WORKING = "working"
DONE = "done"
WARNING = "warning"
ERROR = "error"


class Verbs(NamedTuple):
    """While it runs, when it is done, when there was nothing to do."""

    working: str
    done: str
    unchanged: str


VERBS: dict[str, Verbs] = {
    "CreateNetwork": Verbs("Creating", "Created", "Exists"),
    "RemoveNetwork": Verbs("Removing", "Removed", "Removed"),
    "ConnectNetwork": Verbs("Connecting", "Connected", "Connected"),
    "DisconnectNetwork": Verbs("Disconnecting", "Disconnected", "Disconnected"),
    "CreateVolume": Verbs("Creating", "Created", "Exists"),
    "RemoveVolume": Verbs("Removing", "Removed", "Removed"),
    "CreateContainer": Verbs("Creating", "Created", "Created"),
    "StartContainer": Verbs("Starting", "Started", "Running"),
    "StopContainer": Verbs("Stopping", "Stopped", "Stopped"),
    "KillContainer": Verbs("Killing", "Killed", "Killed"),
    "PauseContainer": Verbs("Pausing", "Paused", "Paused"),
    "UnpauseContainer": Verbs("Unpausing", "Unpaused", "Unpaused"),
    "RemoveContainer": Verbs("Removing", "Removed", "Removed"),
    "RenameContainer": Verbs("Recreate", "Recreated", "Recreated"),
    "RemoveImage": Verbs("Removing", "Removed", "Removed"),
    "PullImage": Verbs("Pulling", "Pulled", "Pulled"),
    "PushImage": Verbs("Pushing", "Pushed", "Pushed"),
    "BuildImage": Verbs("Building", "Built", "Built"),
    "CommitContainer": Verbs("Committing", "Committed", "Committed"),
    "ExportFiles": Verbs("Exporting", "Exported", "Exported"),
}
WAITED = {"started": "Started", "healthy": "Healthy", "completed": "Exited", "running_or_healthy": "Healthy"}
REPLACE_LABEL = "com.docker.compose.replace"
REPLACEMENT_STEPS = frozenset({"StopContainer", "RemoveContainer"})
"""Steps of a replacement that its line does not tell."""
SILENT = frozenset({"ConnectNetwork", "DisconnectNetwork", "RunHook"})
PLAIN_CAUSES = frozenset(
    {
        *("missing", "created", "scaled", "--wait", "down", "down --volumes", "stop", "start", "kill", "rm"),
        *("rm --stop", "restart", "reset", "pause", "unpause"),
    }
)
"""Causes that say no more than the command did."""


class Line(NamedTuple):
    """The state of one progress line."""

    id: str
    """`Container app-web-1`."""
    status: str
    text: str
    """`Started`."""
    note: str = ""
    """Why, or what it waits for."""
    parent: str = ""
    """The line that this one is a part of; it is not shown any longer than that one works."""
    current: int = 0
    """Bytes so far, of `total`; 0 if nobody counts."""
    total: int = 0
    bare: bool = False
    """One of those that Compose writes with a single space, ` web Pulling `."""
    subject: str = ""
    """What of it, where its name does not say all."""

    @property
    def label(self) -> str:
        """Name and subject."""
        return f"{self.id} {self.subject}" if self.subject else self.id


TRANSFERS = frozenset({"PullImage", "PushImage"})
FINISHED = frozenset({"Pull complete", "Already exists", "Pushed", "Layer already exists"})
"""States of a layer that are its last."""


def resource_name(resource: str) -> str:
    """`container app-web-1` as a progress line names it: `Container app-web-1`."""
    return resource[:1].upper() + resource[1:]


def kept_line(resource: str, status: str) -> Line:
    """The line of something that nothing has to be done about; a transfer's is that of its service."""
    kind, _, name = resource.partition(" ")
    if kind in ("pull", "push"):
        return Line(name, DONE, status, bare=True)
    return Line(resource_name(resource), DONE, status)


class Narrator:
    """Tells a plan's events as lines. A replacement is several operations and one line: Recreate, Recreated."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._replaced = {
            operation["resource"] for operation in operations if _is_replacement(operation) and "resource" in operation
        }
        self._last: dict[str, Line] = {}
        self._warned: dict[str, str] = {}

    def line(self, operation: Operation, event: PlanEvent) -> Line | None:
        """What an event makes of the line of its operation's resource; None for what is not shown."""
        resource = operation.get("resource", "")
        line = self._line(operation, event, resource)
        if line is not None and line.status == DONE:
            self._last[resource] = line
        return line

    def _line(self, operation: Operation, event: PlanEvent, resource: str) -> Line | None:
        kind, status, text = operation.get("kind", ""), event.get("status"), event.get("text", "")
        if kind in TRANSFERS:
            return _transfer(VERBS[kind], operation, event)
        name = resource.partition(" ")[2] if kind == "BuildImage" else resource_name(resource)
        if status == "failed":
            return Line(name, ERROR, "Error", str((event.get("error") or {}).get("message", "")))
        if status == "warning":
            self._warned[resource] = text
            return Line(name, WARNING, text[:1].upper() + text[1:])
        if status == "waiting":
            return Line(name, WORKING, self._verbs(operation, resource).working, text)
        cause = operation.get("cause", "")
        note = "" if cause in PLAIN_CAUSES else cause
        if kind in SILENT or (resource in self._replaced and kind in REPLACEMENT_STEPS):
            return self._after_hook(kind, status, name, resource, note)
        if status == "started":
            return Line(name, WORKING, self._verbs(operation, resource).working, note)
        if status not in ("done", "unchanged") or _is_replacement(operation):
            return None
        verbs = self._verbs(operation, resource)
        note = self._warned.pop(resource, note)
        return Line(name, DONE, verbs.done if status == "done" else verbs.unchanged, note)

    def _after_hook(self, kind: str, status: str | None, name: str, resource: str, note: str) -> Line | None:
        """A hook shows while it runs; then the line says again what it said before."""
        if kind != "RunHook":
            return None
        return Line(name, WORKING, "Running", note) if status == "started" else self._last.get(resource)

    def _verbs(self, operation: Operation, resource: str) -> Verbs:
        kind = operation.get("kind", "")
        if _is_replacement(operation) or (resource in self._replaced and kind in REPLACEMENT_STEPS):
            return Verbs("Recreate", "Recreated", "Recreated")
        if kind == "WaitContainer":
            done = WAITED.get(str(operation.get("args", {}).get("Condition")), "Healthy")
            return Verbs("Waiting", done, done)
        return VERBS[kind]


def is_last(text: str) -> bool:
    """Whether a layer's state is its last."""
    return text in FINISHED or text.startswith("Mounted from")


def _transfer(verbs: Verbs, operation: Operation, event: PlanEvent) -> Line | None:
    """A service whose image is on its way, and the layers of that."""
    name = operation.get("resource", "").partition(" ")[2]
    status, text = event.get("status"), event.get("text", "")
    if status == "started":
        return Line(name, WORKING, verbs.working, bare=True)
    if status == "progress":
        if not event.get("id"):
            return Line(name, WORKING, verbs.working, text, bare=True)
        state = DONE if is_last(text) else WORKING
        current, total = event.get("current", 0), event.get("total", 0)
        return Line(event["id"], state, text, parent=name, current=current, total=total, bare=True)
    if status in ("done", "unchanged"):
        return Line(name, DONE, verbs.done, bare=True)
    if status == "failed":
        return Line(name, ERROR, "Error", str((event.get("error") or {}).get("message", "")), bare=True)
    if status == "warning":
        return Line(name, WARNING, "Warning", text, bare=True)
    return None


def _is_replacement(operation: Operation) -> bool:
    if operation.get("kind") != "CreateContainer":
        return False
    config: Mapping[str, Any] = operation.get("args", {}).get("Config") or {}
    return REPLACE_LABEL in (config.get("Labels") or {})

"""Watch the containers of a project and print what they write, until none is left that could.

One loop: events are subscribed to before the containers are listed, so that no start and no end is missed; a dead
container's log is read to its end before its end is told.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.reconcile import labels
from compose.usecases import containers, logsource
from runtime.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.usecases.report import LogSink
    from runtime.client.client import Client, EventStream
    from runtime.wire.containers import ContainerInspect

BUSY_WAIT = 0.005
IDLE_WAIT = 0.04
RECONNECT_TIMEOUT = 10.0


class Exit(NamedTuple):
    """A container ended."""

    service: str
    name: str
    code: int
    restarting: bool


class Follower:
    """Follows the containers of a project.

    `wanted` says which containers print, `watched` which ones keep `run` from returning.
    """

    def __init__(
        self,
        client: Client,
        project: str,
        sink: LogSink,
        *,
        wanted: Callable[[ContainerInspect], bool],
        watched: Callable[[ContainerInspect], bool] | None = None,
        tail: int | None = None,
        since: str = "",
        until: str = "",
        on_exit: Callable[[Exit], None] | None = None,
        attach: bool = False,
        beside: Callable[[], None] = lambda: None,
    ) -> None:
        """`attach`: show also what containers write that keep no log, from now on. `beside` prints what is no log."""
        self._beside = beside
        self._attach = attach
        self._client = client
        self._project = project
        self._sink = sink
        self._wanted = wanted
        self._watched = watched or wanted
        self._tail = tail
        self._since = since
        self._until = until
        self._on_exit = on_exit
        self._events: EventStream | None = None
        self._sources: dict[str, tuple[str, logsource.Source]] = {}
        self._known: dict[str, ContainerInspect] = {}
        self.alive: set[str] = set()
        """Ids of watched containers that have not ended."""

    def begin(self, *, created: bool = False) -> list[str]:
        """Subscribe and open the logs; the names that print. `created` counts containers that have not started yet."""
        self._events = self._client.events(self._project)
        found = containers.of_project(self._client, self._project, all=True)
        names = [containers.log_name(container) for container in found if self._wanted(container)]
        self._sink.register(names)
        for container in found:
            self._known[container["Id"]] = container
            self._open(container, tail=self._tail, since=self._since)
            alive = containers.is_active(container) or (created and containers.status_of(container) != "removing")
            if alive and self._watched(container):
                self.alive.add(container["Id"])
        return names

    def run(self, *, busy: Callable[[], bool] = lambda: False, check: Callable[[], None] = lambda: None) -> None:
        """Print until no watched container is alive and `busy` says that nothing else is going on.

        `check` is called in every round; what it raises ends the loop.
        """
        wait = BUSY_WAIT
        try:
            while self.alive or busy():
                check()
                self._wait(wait)
                something = self._take_events()
                something = self._read_all() or something
                wait = BUSY_WAIT if something else min(wait * 1.5, IDLE_WAIT)
                if self._until and self._until <= time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()):
                    break
            while self._read_all():
                pass  # a long log is read in pieces
        finally:
            self.close()

    def shown_as(self, name: str) -> str:
        """What stands before the lines of the container with this name; "" if it is not shown."""
        for container in self._known.values():
            if containers.name_of(container) == name and self._wanted(container):
                return containers.log_name(container)
        return ""

    def settle(self) -> None:
        """Wait no longer for containers that do not run: those that were to be started and never were."""
        active = {each["Id"] for each in containers.of_project(self._client, self._project)}
        self.alive &= active

    def close(self) -> None:
        """Close the logs and the subscription; what was kept of unfinished lines is printed."""
        self._sink.flush()
        for _, source in self._sources.values():
            source.close()
        self._sources.clear()
        if self._events is not None:
            self._events.close()
            self._events = None

    def _wait(self, seconds: float) -> None:
        if self._events is not None:
            select.select([self._events.fileno()], [], [], seconds)
        else:
            time.sleep(seconds)

    def _take_events(self) -> bool:
        if self._events is None:
            return False
        events = self._events.available()
        if events is None:
            self._reconnect()
            return True
        for event in events:
            if event.get("type") == "container":
                self._take(event)
        return bool(events)

    def _take(self, event: dict[str, Any]) -> None:
        action, identity = event.get("action"), str(event.get("id"))
        if action in ("create", "start", "rename"):
            self._appear(identity, started=action == "start")
        elif action == "die":
            self._die(identity, event.get("attributes") or {})
        elif action == "destroy":
            self._forget(identity)

    def _appear(self, identity: str, *, started: bool) -> None:
        try:
            container = self._client.inspect(identity)
        except NotFound:
            return
        if labels.is_one_off(containers.labels_of(container)):
            return
        new = identity not in self._known
        self._known[identity] = container
        if new:
            self._open(container, tail=None, since="")
        if started and self._watched(container):
            self.alive.add(identity)

    def _die(self, identity: str, attributes: dict[str, Any]) -> None:
        container = self._known.get(identity)
        if container is None:
            return
        try:
            state = self._client.inspect(identity).get("State", {}).get("Status", "")
        except NotFound:
            state = ""
        code = int(attributes.get("exitCode") or 0)
        self._tell_end(container, code, restarting=state in ("restarting", "running"))

    def _tell_end(self, container: ContainerInspect, code: int, *, restarting: bool) -> None:
        identity = container["Id"]
        self._drain(identity)
        self._beside()
        if self._wanted(container):
            suffix = " (restarting)" if restarting else ""
            self._sink.status(containers.log_name(container), f"exited with code {code}{suffix}")
        if not restarting:
            self.alive.discard(identity)
        if self._on_exit is not None and self._watched(container):
            service, name = containers.service_of(container), containers.name_of(container)
            self._on_exit(Exit(service, name, code, restarting))

    def _forget(self, identity: str) -> None:
        self._drain(identity)
        self.alive.discard(identity)
        self._known.pop(identity, None)
        name, source = self._sources.pop(identity, ("", None))
        if source is not None:
            self._sink.flush(name)
            source.close()

    def _open(self, container: ContainerInspect, *, tail: int | None, since: str) -> None:
        if self._wanted(container) and container["Id"] not in self._sources:
            source = logsource.follow(self._client, container, tail=tail, since=since, attach=self._attach)
            self._sources[container["Id"]] = (containers.log_name(container), source)

    def _read_all(self) -> bool:
        something = False
        self._beside()
        for name, source in self._sources.values():
            block = source.read()
            if block:
                something = True
                self._sink.block(name, block)
        return something

    def _drain(self, identity: str) -> None:
        name, source = self._sources.get(identity, ("", None))
        while source is not None and (block := source.read()):
            self._sink.block(name, block)

    def _reconnect(self) -> None:
        """The engine went away: go on with the files, find it again, and see what ended meanwhile."""
        if self._events is not None:
            self._events.close()
            self._events = None
        deadline = time.monotonic() + RECONNECT_TIMEOUT
        while self._events is None:
            try:
                self._events = self._client.events(self._project)
            except Unavailable:
                if time.monotonic() > deadline:
                    raise
                self._read_all()
                time.sleep(IDLE_WAIT)
        found = {each["Id"]: each for each in containers.of_project(self._client, self._project, all=True)}
        for identity in list(self.alive):
            container = found.get(identity)
            if container is None:
                self._forget(identity)
            elif containers.status_of(container) in ("exited", "dead"):
                self._tell_end(container, container.get("State", {}).get("ExitCode", 0), restarting=False)
        for identity in found.keys() - self._known.keys():
            self._appear(identity, started=containers.is_active(found[identity]))

"""Rebuild images whose files have changed and replace the containers of their services, beside the watching.

One rebuild goes on at a time; what is asked for meanwhile is one more afterwards. A build that fails leaves the
containers as they are, and one that gives the same image too.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.reconcile import labels
from compose.reconcile.options import ImageOptions, UpOptions
from compose.reconcile.plan import PlanBuilder
from compose.reconcile.planner import up as plan_up
from compose.usecases.build import Builds, references
from compose.usecases.execute import execute
from compose.usecases.imagebuild import BuildFailed
from compose.usecases.observe import observe
from compose.usecases.up import seccomp_profiles
from compose.watch.rules import listed
from runtime.client.client import Client
from runtime.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from compose.model.project import Project
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.plan import Plan
    from compose.usecases.registryauth import RegistryAccess
    from runtime.wire.plan import Operation, PlanEvent


class Rebuilder:
    """Rebuilds for one watching session. `notice` tells a line; it is called from the thread that builds."""

    def __init__(
        self,
        client: Client,
        project: Project,
        *,
        access: RegistryAccess,
        notice: Callable[[str], None],
        prune: bool,
        timeout: int,
    ) -> None:
        """`prune`: remove the images that were replaced. `timeout`: seconds that a container has to stop."""
        self._client = Client(client.paths, parallel=client.parallel, by=client.by)
        self._project = project
        self._access = access
        self._notice = notice
        self._prune = prune
        self._timeout = timeout
        self._pending: dict[str, dict[str, None]] = {}
        self._wake = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False
        self._building = False
        self._replaced: queue.SimpleQueue[str] = queue.SimpleQueue()

    def ask(self, service: str, paths: Iterable[str]) -> None:
        """Rebuild a service because of changes at these paths."""
        with self._wake:
            self._pending.setdefault(service, {}).update(dict.fromkeys(paths))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="rebuild", daemon=True)
                self._thread.start()
            self._wake.notify()

    def replaced(self) -> list[str]:
        """Services whose containers were replaced since the last call."""
        found: dict[str, None] = {}
        while not self._replaced.empty():
            found[self._replaced.get()] = None
        return list(found)

    def close(self) -> None:
        """Give a build up; containers that are being replaced are waited for."""
        with self._wake:
            self._closing = True
            if self._building:
                self._client.abort()
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._pending and not self._closing:
                    self._wake.wait()
                if self._closing:
                    return
                asked, self._pending = self._pending, {}
                self._building = True
            self._rebuild({service: tuple(paths) for service, paths in asked.items()})

    def _rebuild(self, asked: Mapping[str, tuple[str, ...]]) -> None:
        """Build and replace; whatever fails is told."""
        began = time.perf_counter()
        mute = _Mute()
        try:
            builds = Builds(self._client, self._project, mute, access=self._access)
            builds.run(dict.fromkeys(asked, "files changed"))
            with self._wake:
                self._building = False
                if self._closing:
                    return
            plan = self._replace(tuple(asked))
        except (ComposeError, EngineError) as error:
            if not self._closing:
                self._tell_failure(asked, error, mute.texts)
            return
        finally:
            self._building = False
        took = f"({(time.perf_counter() - began) * 1000:.0f} ms)"
        for service, paths in asked.items():
            count = _replacements(plan, service)
            words = (
                f"rebuilt, recreated{f' in {count} containers' if count > 1 else ''}"
                if count
                else "changed nothing in the image"
            )
            if count:
                self._replaced.put(service)
            self._notice(f"{service}: {listed(paths)} {words} {took}")
        if self._prune:
            self._remove_replaced(asked)

    def _tell_failure(
        self, asked: Mapping[str, tuple[str, ...]], error: ComposeError | EngineError, report: Iterable[str]
    ) -> None:
        paths = dict.fromkeys(path for each in asked.values() for path in each)
        message = error.message.partition("failed to solve: ")[2] if isinstance(error, BuildFailed) else error.message
        text = "\n".join([f"{', '.join(asked)}: {listed(tuple(paths))} changed, rebuild failed: {message}", *report])
        self._notice(text)

    def _replace(self, services: tuple[str, ...]) -> Plan:
        project = self._project
        wanted = references(project, [project.service(name) for name in services])
        options = UpOptions(
            services=services,
            no_deps=True,
            ignore_orphans=True,
            timeout=self._timeout,
            seccomp_profiles=seccomp_profiles(project),
            images=ImageOptions(ensure=False),
        )

        def make(_declined: frozenset[str]) -> Plan:
            observed: ObservedState = observe(self._client, project.name, wanted)
            return plan_up(project, observed, options)

        return execute(self._client, make, _Mute(), project=project, assume_yes=True)

    def _remove_replaced(self, services: Iterable[str]) -> None:
        """Remove the images of the services that have lost their name; one that something still uses stays."""
        names = set(services)
        builder = PlanBuilder()
        try:
            for image in self._client.images():
                said = image.get("Labels") or {}
                ours = said.get(labels.PROJECT) == self._project.name and said.get(labels.SERVICE) in names
                if not ours or image.get("RepoTags"):
                    continue
                builder.add(
                    "RemoveImage",
                    subject=f"image:{image['Id']}",
                    resource=f"image {image['Id']}",
                    cause="replaced",
                    args={"Image": image["Id"]},
                    optional=True,
                )
            execute(self._client, lambda _: builder.build(""), _Mute())
        except EngineError:
            return  # images can be removed the next time


class _Mute:
    """A reporter that only keeps what was to be told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def begin(self, plan: Plan) -> None: ...
    def event(self, operation: Operation, event: PlanEvent) -> None: ...
    def step(self, name: str, text: str, *, done: bool = False, failed: bool = False, bare: bool = False) -> None: ...
    def end(self) -> None: ...
    def dry_run(self, plan: Plan) -> None: ...
    def warn(self, text: str) -> None: ...
    def debug(self, text: str) -> None: ...
    def announce(self, text: str) -> None: ...

    def info(self, text: str) -> None:
        self.texts.append(text)

    def ask(self, question: str) -> bool:
        return False


def _replacements(plan: Plan, service: str) -> int:
    """How many containers of the service a plan makes."""
    made = [each for each in plan.operations if each.kind == "CreateContainer"]
    return sum((each.args["Config"].get("Labels") or {}).get(labels.SERVICE) == service for each in made)

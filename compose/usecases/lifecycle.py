"""Change containers as they are, and take projects away: load, observe, plan, execute.

A project is None when only its name is known: then the labels on the containers tell its services.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.reconcile import labels, plan_down, plan_lifecycle
from compose.reconcile.desired import images
from compose.usecases import providers
from compose.usecases.execute import execute
from compose.usecases.observe import observe
from runtime.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compose.model.project import Project
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.options import (
        DownOptions,
        KillOptions,
        RemoveOptions,
        RestartOptions,
        StartOptions,
        StopOptions,
    )
    from compose.reconcile.plan import Plan
    from compose.usecases.report import Reporter
    from runtime.client.client import Client

    _Freeze = Callable[[Project | None, ObservedState, Sequence[str]], Plan]


class Lifecycle:
    """The verbs that need no image: each observes, plans and executes. `dry_run` shows the plan only."""

    def __init__(
        self, client: Client, project: Project | None, name: str, reporter: Reporter, *, dry_run: bool = False
    ) -> None:
        self._client = client
        self._project = project
        self._name = name
        self._reporter = reporter
        self._dry_run = dry_run

    def down(self, options: DownOptions) -> Plan:
        """Remove containers and networks, and volumes and images if asked. Raises NoSuchService."""
        wanted = self._images() if options.images else ()
        plan = self._run(lambda observed, _: plan_down.down(self._project, observed, options), wanted)
        self._release(providers.DOWN, options.services)
        return plan

    def stop(self, options: StopOptions) -> Plan:
        """Stop containers, what depends on them first."""
        plan = self._run(lambda observed, _: plan_lifecycle.stop(self._project, observed, options))
        self._release(providers.STOP, options.services)
        return plan

    def start(self, options: StartOptions) -> Plan:
        """Start containers that exist, and wait for what they depend on."""
        return self._run(lambda observed, _: plan_lifecycle.start(self._project, observed, options))

    def restart(self, options: RestartOptions) -> Plan:
        """Stop and start containers as they are."""
        return self._run(lambda observed, _: plan_lifecycle.restart(self._project, observed, options))

    def kill(self, options: KillOptions, *, at_once: bool = False) -> Plan:
        """Send a signal; `at_once` does not wait for another plan of the project to end."""

        def make(observed: ObservedState, _: frozenset[str]) -> Plan:
            plan = plan_lifecycle.kill(self._project, observed, options)
            return plan.replace(project="") if at_once else plan

        return self._run(make)

    def remove(self, options: RemoveOptions) -> Plan:
        """Remove stopped containers, once the user agreed."""

        def make(observed: ObservedState, declined: frozenset[str]) -> Plan:
            plan = plan_lifecycle.remove(self._project, observed, options)
            if options.force and plan.operations:
                self._reporter.announce(plan_lifecycle.going_to_remove(plan))
            return type(plan)(project=plan.project) if declined else plan

        return self._run(make)

    def pause(self, services: Sequence[str]) -> Plan:
        """Freeze running containers. Raises Conflict, when all others are, for one that is frozen already."""
        return self._freeze(services, plan_lifecycle.pause, "paused", "is already paused")

    def unpause(self, services: Sequence[str]) -> Plan:
        """Let frozen containers go on. Raises Conflict, when all others do, for one that is not frozen."""
        return self._freeze(services, plan_lifecycle.unpause, "running", "is not paused")

    def _freeze(self, services: Sequence[str], make: _Freeze, unsuited: str, complaint: str) -> Plan:
        refused: list[str] = []

        def plan(observed: ObservedState, _: frozenset[str]) -> Plan:
            refused[:] = plan_lifecycle.standing_as(self._project, observed, services, unsuited)
            return make(self._project, observed, services)

        done = self._run(plan)
        if refused:
            raise Conflict(f"container {refused[0]} {complaint}")
        return done

    def _release(self, action: providers.Action, services: Sequence[str]) -> None:
        if self._project is not None:
            names = services or tuple(self._project.services)
            providers.release(self._project, names, action, self._reporter, dry_run=self._dry_run)

    def _images(self) -> tuple[str, ...]:
        """Names of the images of the project's services, and of all that were built for it."""
        named = images(self._project) if self._project is not None else ()
        known = {reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest" for reference in named}
        ours = [each for each in self._client.images() if (each.get("Labels") or {}).get(labels.PROJECT) == self._name]
        built = {str(tag) for each in ours for tag in each.get("RepoTags") or ()}
        return (*named, *sorted(built - known))

    def _run(self, make: Callable[[ObservedState, frozenset[str]], Plan], wanted: Sequence[str] = ()) -> Plan:
        return execute(
            self._client,
            lambda declined: make(observe(self._client, self._name, wanted), declined),
            self._reporter,
            project=self._project,
            dry_run=self._dry_run,
        )

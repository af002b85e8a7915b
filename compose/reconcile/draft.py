"""Collect what the planning of one command has decided so far.

A container is stopped and removed at most once, whoever asks first; who asks later gets the same operation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.graph import DependencyGraph
from compose.reconcile.plan import Kept, Plan, PlanBuilder

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compose.model.hook import ServiceHook
    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.observed import ObservedContainer, ObservedState


class Draft:
    """A plan in the making."""

    def __init__(
        self,
        project: Project,
        observed: ObservedState,
        *,
        timeout: int | None = None,
        graph: DependencyGraph | None = None,
    ) -> None:
        self.project = project
        self.observed = observed
        self.timeout = timeout
        self.graph = graph or DependencyGraph.of(project.services)
        self.order = self.graph.order()
        self.positions = {name: position for position, name in enumerate(self.order)}
        self.builder = PlanBuilder()
        self.configs: dict[str, ServiceConfig] = project.all_services
        self.stops: dict[str, int] = {}
        """Container id to the operation after which it does not run any more."""
        self.removals: dict[str, int] = {}
        """Container id to the operation after which it is gone."""
        self.freed_names: dict[str, int] = {}
        """Container name to the operation after which it is free."""
        self.before_removal: dict[str, list[int]] = {}
        """Container id to operations on it that must not find it gone."""
        self.kept: list[Kept] = []
        self.warnings: list[str] = []

    def stop(
        self,
        container: ObservedContainer,
        cause: str,
        *,
        after: Iterable[int] = (),
        hooks: bool = True,
        restart: bool = False,
    ) -> int | None:
        """Stop it, with its pre_stop hooks first; None if there is nothing to stop."""
        if container.id in self.stops:
            return self.stops[container.id]
        if not container.alive:
            return None
        before = tuple(after)
        config = self.configs.get(container.service)
        if hooks and config is not None and container.status == "running" and not container.one_off:
            before = self.hooks(
                config.pre_stop,
                "pre_stop",
                subject=container.subject,
                resource=container.resource,
                container=container.id,
                after=before,
            )
        args: dict[str, Any] = {"Container": container.id}
        if self.timeout is not None:
            args["Timeout"] = self.timeout
        if restart:
            args["Restart"] = True
        operation = self.builder.add(
            "StopContainer",
            subject=container.subject,
            resource=container.resource,
            cause=cause,
            depends=before,
            args=args,
        )
        self.stops[container.id] = operation
        return operation

    def stop_in_reverse(
        self,
        containers: Sequence[ObservedContainer],
        cause: str,
        *,
        causes: Mapping[str, str] | None = None,
        hooks: bool = True,
        through: bool = True,
        restart: bool = False,
    ) -> None:
        """Stop all of them, each after those of services that depend on it.

        `causes` by service beats `cause`. With `through` the order holds also over services in between that have
        nothing to stop. With `restart` the plan starts them again, so their sandboxes stay.
        """
        waiting: dict[str, list[ObservedContainer]] = {}
        for container in containers:
            waiting.setdefault(container.service, []).append(container)
        known = waiting.keys() & self.positions.keys()
        names = self.order if through else sorted(known, key=self.positions.__getitem__)
        gates: dict[str, tuple[int, ...]] = {}
        for name in reversed(names):
            gathered = {stop: None for other in self.graph.dependents(name) for stop in gates.get(other, ())}
            why = (causes or {}).get(name, cause)
            stops = [self.stop(one, why, after=gathered, hooks=hooks, restart=restart) for one in waiting.get(name, ())]
            gates[name] = tuple(stop for stop in stops if stop is not None) or tuple(gathered)
        for container in containers:
            if container.service not in known:
                self.stop(container, (causes or {}).get(container.service, cause), hooks=hooks)

    def remove(
        self,
        container: ObservedContainer,
        cause: str,
        *,
        after: Iterable[int | None] = (),
        force: bool = True,
        volumes: bool = False,
        confirm: str = "",
    ) -> int:
        """Remove it after whatever stops it; `volumes` takes its anonymous volumes too."""
        if container.id in self.removals:
            return self.removals[container.id]
        operation = self.builder.add(
            "RemoveContainer",
            subject=container.subject,
            resource=container.resource,
            cause=cause,
            depends=(*after, *self.before_removal.get(container.id, ()), self.stops.get(container.id)),
            args={"Container": container.id, "Force": force, "Volumes": volumes},
            confirm=confirm,
        )
        self.removals[container.id] = operation
        self.freed_names[container.name] = operation
        return operation

    def hooks(
        self,
        hooks: Sequence[ServiceHook],
        phase: str,
        *,
        subject: str,
        resource: str,
        container: str,
        after: tuple[int, ...],
    ) -> tuple[int, ...]:
        """Run the hooks one after the other; returns what to wait for."""
        from compose.reconcile.body_config import environment

        for position, hook in enumerate(hooks, 1):
            operation = self.builder.add(
                "RunHook",
                subject=subject,
                resource=resource,
                cause=f"{phase} hook" if len(hooks) == 1 else f"{phase} hook {position} of {len(hooks)}",
                depends=after,
                args={
                    "Container": container,
                    "Hook": phase,
                    "Command": list(hook.command or ()),
                    "User": hook.user,
                    "Privileged": hook.privileged,
                    "WorkingDir": hook.working_dir,
                    "Environment": environment(hook.environment),
                },
            )
            after = (operation,)
        return after

    def finish(self) -> Plan:
        """The plan."""
        return self.builder.build(
            self.project.name, kept=self.kept, warnings=self.warnings, generation=self.observed.generation
        )

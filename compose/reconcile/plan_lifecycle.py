"""Plan what changes containers as they are: start, stop, restart, kill, remove, pause; nothing is created.

Stops go in reverse dependency order, starts in dependency order. Without a project (None) the labels tell the services
and their dependencies. One-offs of `run` are left alone, except by kill.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.graph import DependencyGraph, edges
from compose.reconcile.draft import Draft
from compose.reconcile.observed import project_from_labels
from compose.reconcile.options import KillOptions, RemoveOptions, RestartOptions, StartOptions, StopOptions
from compose.reconcile.plan_containers import start_cause
from compose.reconcile.plan_start import WAITS, Starts
from compose.reconcile.up_draft import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compose.model.project import Project
    from compose.reconcile.observed import ObservedContainer, ObservedState
    from compose.reconcile.plan import Plan
    from runtime.wire.plan import OperationKind

STOP = StopOptions()
START = StartOptions()
RESTART = RestartOptions()
KILL = KillOptions()
REMOVE = RemoveOptions()


def stop(project: Project | None, observed: ObservedState, options: StopOptions = STOP) -> Plan:
    """Stop the named services, or all; raises NoSuchService."""
    draft = Draft(project or project_from_labels(observed), observed, timeout=options.timeout)
    draft.stop_in_reverse(_standing(draft, _services(draft, options.services)), "stop")
    return draft.finish()


def start(project: Project | None, observed: ObservedState, options: StartOptions = START) -> Plan:
    """Start the named services with what they need, or all.

    Raises NoSuchService, and ComposeError if a named service, or every service, or the whole project has no container.
    """
    whole = project or project_from_labels(observed)
    if project is None and not observed.containers:
        raise ComposeError(f'no container found for project "{whole.name}": not found')
    draft = Draft(whole.with_selected(options.services), observed)
    missing = [name for name in draft.order if _lacks_containers(draft, name)]
    fatal = [name for name in missing if name in options.services or not observed.containers]
    if fatal:
        raise ComposeError(f'service "{fatal[0]}" has no container to start')
    draft.warnings.extend(f'service "{name}" has no container to start' for name in missing)
    slots = {name: [_slot(one, start_cause(one)) for one in observed.of_service(name)] for name in draft.order}
    starts = Starts(draft, slots, wait_timeout=options.wait_timeout)
    for name in draft.order:
        _check_dependencies(draft, name, missing)
        starts.service(draft.project.services[name])
    if options.wait:
        starts.final(draft.order)
    draft.kept.clear()  # of what runs already Compose says nothing here
    return draft.finish()


def restart(project: Project | None, observed: ObservedState, options: RestartOptions = RESTART) -> Plan:
    """Restart the named services and those that want to be restarted with them, or all; raises NoSuchService."""
    whole = project or project_from_labels(observed)
    following = DependencyGraph(
        {
            name: {target: edge for target, edge in edges(service).items() if edge.restart}
            for name, service in whole.services.items()
        }
    )
    draft = Draft(whole, observed, timeout=options.timeout, graph=following)
    named = _services(draft, options.services)
    causes = dict.fromkeys(named, "restart")
    for name in () if options.no_deps else draft.order:
        needs = next((target for target in following.dependencies(name) if target in causes), None)
        if needs is not None:
            causes.setdefault(name, f"depends on {needs}")
    draft.stop_in_reverse(_standing(draft, causes), "restart", causes=causes, restart=True)
    slots = {name: [_slot(one, causes[name]) for one in observed.of_service(name)] for name in causes}
    starts = Starts(draft, slots)
    for name in draft.order:
        if name in causes:
            starts.service(draft.project.services[name])
    return draft.finish()


def kill(project: Project | None, observed: ObservedState, options: KillOptions = KILL) -> Plan:
    """Send a signal to all running containers of the named services, or of all; raises NoSuchService."""
    draft = Draft(project or project_from_labels(observed), observed)
    services = frozenset(_services(draft, options.services))
    everything = options.remove_orphans and not options.services
    targets = [one for one in observed.containers if one.alive and (everything or one.service in services)]
    for container in targets:
        draft.builder.add(
            "KillContainer",
            subject=container.subject,
            resource=container.resource,
            cause=f"kill -s {options.signal}",
            args={"Container": container.id, "Signal": options.signal},
        )
    if not targets:
        draft.warnings.append("no container to kill")
    return draft.finish()


def remove(project: Project | None, observed: ObservedState, options: RemoveOptions = REMOVE) -> Plan:
    """Remove the stopped containers of the named services, or of all (`rm`); raises NoSuchService."""
    draft = Draft(project or project_from_labels(observed), observed)
    containers = _standing(draft, _services(draft, options.services))
    if options.stop:
        draft.stop_in_reverse(containers, "rm --stop")
    targets = [one for one in containers if options.stop or not one.alive]
    question = f"Going to remove {', '.join(one.name for one in targets)}"
    for container in targets:
        draft.remove(container, "rm", force=False, volumes=options.volumes, confirm="" if options.force else question)
    if not targets:
        draft.warnings.append("No stopped containers")
    return draft.finish()


def pause(project: Project | None, observed: ObservedState, services: Sequence[str] = ()) -> Plan:
    """Pause the running containers of the named services, or of all; raises NoSuchService."""
    return _each(project, observed, services, kind="PauseContainer", status="running", cause="pause")


def unpause(project: Project | None, observed: ObservedState, services: Sequence[str] = ()) -> Plan:
    """Let the paused containers of the named services, or of all, go on; raises NoSuchService."""
    return _each(project, observed, services, kind="UnpauseContainer", status="paused", cause="unpause")


def standing_as(
    project: Project | None, observed: ObservedState, services: Sequence[str], status: str
) -> tuple[str, ...]:
    """Names of the containers of the named services, or of all, that have this status."""
    draft = Draft(project or project_from_labels(observed), observed)
    return tuple(one.name for one in _standing(draft, _services(draft, services)) if one.status == status)


def going_to_remove(plan: Plan) -> str:
    """What `rm` says before it does it."""
    names = [each.resource.partition(" ")[2] for each in plan.operations if each.kind == "RemoveContainer"]
    return f"Going to remove {', '.join(names)}"


def _each(
    project: Project | None,
    observed: ObservedState,
    services: Sequence[str],
    *,
    kind: OperationKind,
    status: str,
    cause: str,
) -> Plan:
    draft = Draft(project or project_from_labels(observed), observed)
    for container in _standing(draft, _services(draft, services)):
        if container.status == status:
            draft.builder.add(
                kind,
                subject=container.subject,
                resource=container.resource,
                cause=cause,
                args={"Container": container.id},
            )
    return draft.finish()


def _services(draft: Draft, named: Sequence[str]) -> tuple[str, ...]:
    for name in named:
        draft.project.service(name)
    return tuple(dict.fromkeys(named)) or tuple(draft.project.services)


def _standing(draft: Draft, services: Iterable[str]) -> list[ObservedContainer]:
    return [container for name in services for container in draft.observed.of_service(name)]


def _slot(container: ObservedContainer, cause: str) -> Slot:
    return Slot(
        service=container.service,
        number=container.number,
        name=container.name,
        reference=container.id,
        start=cause,
        container=container,
    )


def _lacks_containers(draft: Draft, name: str) -> bool:
    service = draft.project.services[name]
    return bool(service.replicas) and service.provider is None and not draft.observed.of_service(name)


def _check_dependencies(draft: Draft, name: str, missing: Sequence[str]) -> None:
    for target, edge in draft.graph.dependencies(name).items():
        if target in missing and edge.condition in WAITS:
            if edge.required:
                raise ComposeError(f"{name} is missing dependency {target}")
            draft.warnings.append(f"{name} is missing dependency {target}")

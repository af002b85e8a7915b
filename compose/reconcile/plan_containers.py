"""Plan the containers of each service: how many stay, which are replaced, removed or new.

Creating a container only writes a record, so nothing waits for all of it: a service's containers may start as soon as
its own dependencies allow. A replacement is made beside the old container under a temporary name before that one is
stopped, so that a failure leaves the old one running; only where the new one needs something that is replaced itself
(a network, the container whose namespace it shares) the old one is stopped first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.naming import container_name
from compose.model.record import Record
from compose.reconcile import labels
from compose.reconcile.divergence import divergence
from compose.reconcile.up_draft import PAUSED, Slot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compose.reconcile.desired import DesiredService
    from compose.reconcile.observed import ObservedContainer
    from compose.reconcile.up_draft import UpDraft

ENDPOINT_SETTINGS = ("Aliases", "Links", "DriverOpts", "IPAMConfig", "GwPriority")
"""What of an endpoint was asked for, in contrast to what the engine filled in."""
START_CAUSES = {"created": "not started yet", "dead": "dead", "paused": PAUSED}


class Decision(Record):
    """What becomes of the containers of one service."""

    keep: tuple[ObservedContainer, ...]
    recreate: tuple[tuple[ObservedContainer, str], ...]
    """With the cause."""
    remove: tuple[ObservedContainer, ...]
    create: tuple[int, ...]
    """Numbers."""


def decide(containers: Sequence[ObservedContainer], causes: Mapping[str, str], replicas: int) -> Decision:
    """Keep the lowest numbers that are up to date, then replace, then remove; new numbers follow the highest.

    `causes` says by id why a container must be replaced. Gaps are never filled again.
    """
    ranked = sorted(containers, key=lambda one: (one.id in causes, one.number, one.name))
    staying = sorted(ranked[:replicas], key=lambda one: (one.number, one.name))
    highest = max((one.number for one in containers), default=0)
    return Decision(
        keep=tuple(one for one in staying if one.id not in causes),
        recreate=tuple((one, causes[one.id]) for one in staying if one.id in causes),
        remove=tuple(sorted(ranked[replicas:], key=lambda one: one.number)),
        create=tuple(range(highest + 1, highest + 1 + max(0, replicas - len(staying)))),
    )


def plan_containers(draft: UpDraft) -> None:
    """Add the operations on containers of all services in scope, in dependency order."""
    for service in draft.desired.services.values():
        _plan_service(draft, service)
    _reconnect_others(draft)


def plan_orphans(draft: UpDraft) -> None:
    """Remove what belongs to no service any more, or tell of it."""
    orphans = draft.observed.orphans(draft.desired.known)
    if not orphans:
        return
    if draft.options.remove_orphans:
        draft.stop_in_reverse(orphans, "orphan", hooks=False)
        for container in orphans:
            draft.remove(container, "orphan")
    elif not draft.options.ignore_orphans:
        names = ", ".join(container.name for container in orphans)
        draft.warnings.append(
            f"Found orphan containers ([{names}]) for this project. If you removed or renamed this service in your "
            "compose file, you can run this command with the --remove-orphans flag to clean it up."
        )


def _plan_service(draft: UpDraft, service: DesiredService) -> None:
    there = [one for one in draft.observed.of_service(service.name) if one.id not in draft.removals]
    causes = {one.id: cause for one in there if (cause := divergence(draft, service, one))}
    decision = decide(there, causes, service.replicas)
    scaled = f"scale {len(there)} -> {service.replicas}"
    staying = {one.number for one in (*decision.keep, *(one for one, _ in decision.recreate))}
    for container in decision.remove:
        cause = "already replaced" if container.number in staying else scaled
        draft.stop(container, cause)
        draft.remove(container, cause)
    slots = [_keep(draft, service, container) for container in decision.keep]
    slots.extend(_recreate(draft, service, container, cause) for container, cause in decision.recreate)
    missing = scaled if there else _lost(draft, service.name) or "missing"
    slots.extend(_create(draft, service, number, missing) for number in decision.create)
    draft.slots[service.name] = sorted(slots, key=lambda slot: slot.number)


def _lost(draft: UpDraft, service: str) -> str:
    return next((draft.renewed[one.id] for one in draft.observed.of_service(service) if one.id in draft.renewed), "")


def _keep(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> Slot:
    exists = _reconnect(draft, service, container)
    name = _restored_name(draft, service, container)
    if name != container.name:
        renamed = draft.builder.add(
            "RenameContainer",
            subject=container.subject,
            resource=f"container {name}",
            cause="temporary name left over",
            depends=(draft.freed_names.get(name),),
            args={"Container": container.id, "Name": name},
        )
        exists = (*exists, renamed)
    return Slot(
        service=service.name,
        number=container.number,
        name=name,
        reference=container.id,
        exists=exists,
        start=draft.disturbed.get(container.id) or start_cause(container),
        container=container,
    )


def _reconnect(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> tuple[int, ...]:
    """Put the container on the networks that were replaced under it."""
    if container.id not in draft.detached:
        return ()
    from compose.reconcile.body_network import endpoints

    wanted = endpoints(draft.instance(service, container.number))
    return tuple(
        _connect(draft, container, key, dict(wanted.get(draft.project.networks[key].name, {})))
        for key in draft.detached[container.id]
    )


def _restored_name(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    """The name to keep: its own, unless a command cut off in the middle of a replacement left it a temporary one."""
    name = container_name(draft.project, service.config, container.number)
    if labels.REPLACE not in container.labels or not container.name.endswith(f"_{name}"):
        return container.name
    there = draft.observed.of_service(service.name)
    taken = any(other.name == name and other.id not in draft.removals for other in there)
    return container.name if taken else name


def start_cause(container: ObservedContainer) -> str:
    """Why a container that is left as it is must be started; "" if it runs or is about to."""
    if container.status in ("running", "restarting"):
        return ""
    return START_CAUSES.get(container.status) or f"exited ({container.exit_code})"


def _create(draft: UpDraft, service: DesiredService, number: int, cause: str) -> Slot:
    from compose.reconcile.container_body import create_container

    instance = draft.instance(service, number)
    body = create_container(instance)
    operation = draft.builder.add(
        "CreateContainer",
        subject=f"service:{service.name}:{number}",
        resource=f"container {instance.name}",
        cause=cause,
        depends=(*needs(draft, service), draft.freed_names.get(instance.name)),
        args=body,
    )
    return Slot(
        service=service.name,
        number=number,
        name=instance.name,
        reference=instance.name,
        exists=(operation,),
        start=cause,
        body=body,
    )


def _recreate(draft: UpDraft, service: DesiredService, container: ObservedContainer, cause: str) -> Slot:
    from compose.reconcile.container_body import create_container

    dependents = _stop_dependents(draft, service)
    instance = draft.instance(service, container.number, replaces=container.id)
    body = create_container(instance)
    if _must_stop_first(draft, service, container):
        draft.stop(container, cause, after=dependents, hooks=False)
    subject, resource = container.subject, f"container {instance.name}"
    created = draft.builder.add(
        "CreateContainer",
        subject=subject,
        resource=resource,
        cause=cause,
        depends=needs(draft, service),
        args=body,
    )
    draft.stop(container, cause, after=(created, *dependents), hooks=False)
    removed = draft.remove(container, cause, after=() if _follows(draft, container, created) else (created,))
    renamed = draft.builder.add(
        "RenameContainer",
        subject=subject,
        resource=resource,
        cause=cause,
        depends=(removed, draft.freed_names.get(instance.name)),
        args={"Container": instance.temporary_name, "Name": instance.name},
    )
    return Slot(
        service=service.name,
        number=container.number,
        name=instance.name,
        reference=instance.name,
        exists=(renamed,),
        start=cause,
        body=body,
    )


def _follows(draft: UpDraft, container: ObservedContainer, created: int) -> bool:
    stop = draft.stops.get(container.id)
    return stop is not None and stop > created


def _must_stop_first(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> bool:
    """Whether the replacement needs something that in turn waits until this container has stopped."""
    parents = (draft.first(name) for name in draft.parents(service))
    return container.id in draft.detached or any(parent is not None and parent.fresh for parent in parents)


def _stop_dependents(draft: UpDraft, service: DesiredService) -> tuple[int, ...]:
    """Stop what wants to be restarted whenever this service is replaced."""
    restarted = [name for name, edge in draft.graph.dependents(service.name).items() if edge.restart]
    containers = [
        container
        for name in restarted
        for container in draft.observed.of_service(name)
        if container.id not in draft.removals
    ]
    if not containers:
        return ()
    cause = f"{service.name} is recreated"
    for container in containers:
        draft.disturb(container, cause)
    draft.stop_in_reverse(containers, cause, through=False)
    return tuple(draft.stops[container.id] for container in containers if container.id in draft.stops)


def needs(draft: UpDraft, service: DesiredService) -> tuple[int, ...]:
    """What must be there before a container of the service can be made: networks, volumes, what it shares."""
    config = service.config
    networks = () if config.network_mode else config.networks_by_priority
    found = [draft.networks[key] for key in networks if key in draft.networks]
    found.extend(
        draft.volumes[mount.source]
        for mount in config.volumes
        if mount.type == "volume" and mount.source in draft.volumes
    )
    for name in draft.parents(service):
        first = draft.first(name)
        found.extend(first.exists if first is not None else ())
    return tuple(found)


def _connect(draft: UpDraft, container: ObservedContainer, key: str, endpoint: dict[str, object]) -> int:
    network = draft.project.networks[key]
    return draft.builder.add(
        "ConnectNetwork",
        subject=container.subject,
        resource=container.resource,
        cause=f"network {key} configuration changed",
        depends=(draft.networks[key],),
        args={"Network": network.name, "Container": container.id, "EndpointConfig": endpoint},
    )


def _reconnect_others(draft: UpDraft) -> None:
    """Put containers out of scope back on a replaced network and let those that ran run again."""
    planned = {slot.reference for slots in draft.slots.values() for slot in slots}
    for container in draft.observed.containers:
        keys = draft.detached.get(container.id, ())
        if not keys or container.id in planned or container.id in draft.removals:
            continue
        attached = (container.raw.get("NetworkSettings") or {}).get("Networks") or {}
        connected = []
        for key in keys:
            was = attached.get(draft.project.networks[key].name) or {}
            endpoint = {name: value for name, value in was.items() if name in ENDPOINT_SETTINGS and value}
            connected.append(_connect(draft, container, key, endpoint))
        if container.id in draft.disturbed:
            draft.builder.add(
                "StartContainer",
                subject=container.subject,
                resource=container.resource,
                cause=draft.disturbed[container.id],
                depends=connected,
                args={"Container": container.id},
            )

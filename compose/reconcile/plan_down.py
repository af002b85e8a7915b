"""Plan `down`: containers in reverse dependency order, then networks, volumes and images that nothing needs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.model.naming import image_name
from compose.reconcile import labels
from compose.reconcile.draft import Draft
from compose.reconcile.observed import project_from_labels
from compose.reconcile.options import DownOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.model.project import Project
    from compose.reconcile.observed import ObservedContainer, ObservedState
    from compose.reconcile.plan import Plan

DOWN = DownOptions()


def down(project: Project | None, observed: ObservedState, options: DownOptions = DOWN) -> Plan:
    """The plan that takes the project (None: what labels tell of it) away, or only the named services.

    Raises NoSuchService if a project is given; without one a name may just be gone already.
    """
    draft = Draft(project or project_from_labels(observed), observed, timeout=options.timeout)
    services = _scope(draft, options, explicit=project is not None)
    if options.services and not services:
        names = " ".join(options.services)
        draft.warnings.append(f'Any of the services [{names}] not running in project "{draft.project.name}"')
        return draft.finish()
    containers = _containers(draft, services, options)
    draft.stop_in_reverse(containers, "down")
    for container in containers:
        draft.remove(container, "down", volumes=options.volumes)
    if options.remove_orphans:
        _orphans(draft)
    _networks(draft)
    if options.images:
        _images(draft, options)
    if options.volumes:
        _volumes(draft)
    plan = draft.finish()
    # of networks that the files name Compose supposes that they may have been there
    if plan.operations or observed.containers or any(not each.external for each in draft.project.networks.values()):
        return plan
    return draft.builder.build(
        draft.project.name,
        warnings=(*draft.warnings, f'Warning: No resource found to remove for project "{draft.project.name}".'),
    )


def _scope(draft: Draft, options: DownOptions, *, explicit: bool) -> tuple[str, ...]:
    """Services to take down. Who depends on a named one is left alone, as by Compose."""
    services = draft.project.services
    if not options.services:
        return tuple(services)
    named = tuple(dict.fromkeys(name for name in options.services if explicit or name in services))
    for name in named:
        draft.project.service(name)
    return named


def _containers(draft: Draft, services: Iterable[str], options: DownOptions) -> list[ObservedContainer]:
    found: list[ObservedContainer] = []
    for name in services:
        if draft.project.services[name].provider is not None:
            continue
        found.extend(draft.observed.of_service(name))
        if options.remove_orphans:
            found.extend(draft.observed.one_offs(name))
    return found


def _orphans(draft: Draft) -> None:
    orphans = draft.observed.orphans(draft.configs)
    draft.stop_in_reverse(orphans, "orphan", hooks=False)
    for container in orphans:
        draft.remove(container, "orphan")


def _networks(draft: Draft) -> None:
    for key, network in draft.project.networks.items():
        found = draft.observed.networks.get(network.name)
        if network.external or found is None:
            continue
        if found.project != draft.project.name or found.labels.get(labels.NETWORK) != key:
            continue
        on_it = [one.id for one in draft.observed.containers if network.name in one.networks]
        draft.builder.add(
            "RemoveNetwork",
            subject=f"network:{key}",
            resource=f"network {network.name}",
            cause="down",
            depends=[draft.removals[one] for one in on_it if one in draft.removals],
            args={"Name": network.name},
            optional=not {*on_it, *found.attached} <= draft.removals.keys(),
        )


def _volumes(draft: Draft) -> None:
    for key, volume in draft.project.volumes.items():
        if volume.external or volume.name not in draft.observed.volumes:
            continue
        users = [one.id for one in draft.observed.containers if volume.name in one.volumes]
        draft.builder.add(
            "RemoveVolume",
            subject=f"volume:{key}",
            resource=f"volume {volume.name}",
            cause="down --volumes",
            depends=[draft.removals[one] for one in users if one in draft.removals],
            args={"Name": volume.name},
            # containers of other projects may use it; the snapshot does not tell
            optional=True,
        )


def _images(draft: Draft, options: DownOptions) -> None:
    wanted = {
        image_name(draft.project, service)
        for service in draft.project.services.values()
        if options.images == "all" or not service.image
    }
    wanted.update(_built_here(draft, options))
    for reference in sorted(wanted & draft.observed.images.keys()):
        image = draft.observed.image_id(reference)
        draft.builder.add(
            "RemoveImage",
            subject=f"image:{reference}",
            resource=f"image {reference}",
            cause=f"down --rmi {options.images}",
            depends=[draft.removals[one.id] for one in draft.observed.containers if _uses(one, image, draft)],
            args={"Image": reference},
            optional=True,
        )


def _built_here(draft: Draft, options: DownOptions) -> Iterable[str]:
    """Images that carry the project's label, because they were built for one of its services."""
    for reference, image in draft.observed.images.items():
        said = (image.get("Config") or {}).get("Labels") or {}
        known = options.remove_orphans or said.get(labels.SERVICE) in draft.project.services
        if said.get(labels.PROJECT) == draft.project.name and known:
            yield reference


def _uses(container: ObservedContainer, image: str, draft: Draft) -> bool:
    return container.id in draft.removals and container.image == image

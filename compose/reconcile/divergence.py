"""Decide whether a container must be replaced, and say why; the first reason found is the one that is told.

What changes without a new container (dependencies, scale, profiles, build, pull policy) is not in the configuration
hash. A container that stands still is not asked for its networks: it gets them when it starts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.reconcile import labels

if TYPE_CHECKING:
    from compose.reconcile.desired import DesiredService
    from compose.reconcile.observed import ObservedContainer
    from compose.reconcile.up_draft import UpDraft

BROKEN = {"dead": "dead", "removing": "half removed"}


def divergence(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    """Why the container must be replaced; "" if it need not be."""
    if service.recreate == "never":
        return ""
    if service.recreate == "force":
        return "anonymous volumes renewed" if draft.options.renew_anonymous_volumes else "forced"
    for check in CHECKS:
        cause = check(draft, service, container)
        if cause:
            return cause
    return ""


def _broken(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    return BROKEN.get(container.status, "")


def _configuration(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    if container.config_hash == service.config_hash:
        return ""
    from compose.reconcile.changes import changed_parts

    parts = changed_parts(draft, service, container)
    return f"configuration changed: {', '.join(parts)}" if parts else "configuration changed"


def _image(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    wanted = draft.observed.image_id(service.image)
    return "image changed" if wanted and container.labels.get(labels.IMAGE, container.image) != wanted else ""


def _shared(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    host = container.raw.get("HostConfig") or {}
    modes = {
        "network": host.get("NetworkMode", ""),
        "IPC namespace": host.get("IpcMode", ""),
        "processes": host.get("PidMode", ""),
    }
    for name, what in draft.parents(service).items():
        first = draft.first(name)
        if first is None:
            continue
        if first.fresh:
            return f"shares the {what} of {name}, which is new"
        holder = modes.get(what, "").removeprefix("container:")
        if holder and first.container is not None and holder not in (first.container.id, first.container.name):
            return f"shares the {what} of a former {name}"
    return ""


def _networks(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    if container.status != "running":
        return ""
    taken_off = draft.detached.get(container.id, ())
    for key in service.config.networks_by_priority:
        network = draft.project.networks.get(key)
        if network is None or key in taken_off:
            continue
        there = draft.observed.network(network.name)
        name = there.name if there is not None else network.name
        attached = container.networks.get(name)
        if attached is None or there is None or (attached and attached != there.id):
            return f"not connected to network {key}"
    return ""


def _volumes(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> str:
    for mount in service.config.volumes:
        if mount.type != "volume" or not mount.source:
            continue
        volume = draft.project.volumes.get(mount.source)
        if volume is not None and volume.name not in container.volumes:
            return f"volume {mount.source} not mounted"
    return ""


CHECKS = (_broken, _configuration, _image, _shared, _networks, _volumes)

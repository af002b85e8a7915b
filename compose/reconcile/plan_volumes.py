"""Plan the project's volumes: create what is missing, ask before replacing what diverged.

Replacing a volume loses its data. The question is a mark on the removal; if it was declined, the volume stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.model.confighash import volume_hash
from compose.reconcile import labels

if TYPE_CHECKING:
    from compose.model.volume import VolumeConfig
    from compose.reconcile.observed import ObservedVolume
    from compose.reconcile.up_draft import UpDraft


def plan_volumes(draft: UpDraft) -> None:
    """Add the operations on volumes; raises ComposeError for an external one that is not there."""
    for key, volume in draft.project.volumes.items():
        found = draft.observed.volumes.get(volume.name)
        if found is None:
            if volume.external:
                raise ComposeError(f'external volume "{volume.name}" not found')
            draft.volumes[key] = _create(draft, key, volume, "missing")
            continue
        if volume.external:
            continue
        _warn_foreign(draft, found)
        diverged = bool(found.config_hash) and found.config_hash != volume_hash(volume)
        if diverged and f"volume {volume.name}" not in draft.options.declined:
            draft.volumes[key] = _replace(draft, key, volume)


def volume_body(project: str, key: str, volume: VolumeConfig) -> dict[str, Any]:
    """Docker's body of a volume to be created."""
    body: dict[str, Any] = {
        "Name": volume.name,
        "Driver": volume.driver or "local",
        "Labels": labels.volume_labels(project, key, volume_hash(volume), volume.labels),
    }
    if volume.driver_opts:
        body["DriverOpts"] = dict(volume.driver_opts)
    return body


def _warn_foreign(draft: UpDraft, found: ObservedVolume) -> None:
    hint = "Use `external: true` to use an existing volume"
    if found.project is None:
        draft.warnings.append(f'volume "{found.name}" already exists but was not created by compose. {hint}')
    elif found.project != draft.project.name:
        draft.warnings.append(
            f'volume "{found.name}" already exists but was created for project "{found.project}" '
            f'(expected "{draft.project.name}"). {hint}'
        )


def _create(draft: UpDraft, key: str, volume: VolumeConfig, cause: str, *after: int) -> int:
    return draft.builder.add(
        "CreateVolume",
        subject=f"volume:{key}",
        resource=f"volume {volume.name}",
        cause=cause,
        depends=after,
        args=volume_body(draft.project.name, key, volume),
    )


def _replace(draft: UpDraft, key: str, volume: VolumeConfig) -> int:
    cause = f"volume {key} configuration changed"
    users = [
        container
        for name in draft.desired.services
        for container in draft.observed.of_service(name)
        if volume.name in container.volumes
    ]
    draft.stop_in_reverse(users, cause)
    for container in users:
        draft.renewed[container.id] = cause
        draft.remove(container, cause)
    removed = draft.builder.add(
        "RemoveVolume",
        subject=f"volume:{key}",
        resource=f"volume {volume.name}",
        cause="configuration changed",
        depends=[draft.removals[container.id] for container in users],
        args={"Name": volume.name},
        confirm=(
            f'Volume "{volume.name}" exists but doesn\'t match configuration in compose file. '
            "Recreate (data will be lost)?"
        ),
    )
    return _create(draft, key, volume, "configuration changed", removed)

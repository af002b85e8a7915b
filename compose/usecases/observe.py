"""Ask the engine for a snapshot of a project and read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.reconcile.observed import observe as read_snapshot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.reconcile.observed import ObservedState
    from runtime.client.client import Client


def observe(client: Client, project: str, images: Iterable[str] = ()) -> ObservedState:
    """What the engine has of a project, all networks and volumes, and which of the images are there."""
    return read_snapshot(client.snapshot(project, tuple(images)), project)

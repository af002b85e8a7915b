"""Plan what a live reload does beside restarting: the commands of `sync+exec`, in every running container."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.reconcile.draft import Draft

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compose.model.hook import ServiceHook
    from compose.model.project import Project
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.plan import Plan


def run_hooks(project: Project, observed: ObservedState, hooks: Mapping[str, Sequence[ServiceHook]]) -> Plan:
    """Run the hooks of each service, one after the other, in its running containers."""
    draft = Draft(project, observed)
    for service, commands in hooks.items():
        for container in observed.of_service(service):
            if container.status == "running":
                draft.hooks(
                    commands,
                    "sync+exec",
                    subject=container.subject,
                    resource=container.resource,
                    container=container.id,
                    after=(),
                )
    return draft.finish()

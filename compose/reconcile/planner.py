"""Plan `up`, `create` and `scale`: compare what should be with what is, and say step by step how to get there.

Pure: no input or output, no clock, no question. The phases add operations only after those they depend on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ConsistencyError
from compose.model.conflicts import conflicts, scaled_names
from compose.reconcile.desired import desired_state
from compose.reconcile.ignored import ignored
from compose.reconcile.options import UpOptions
from compose.reconcile.plan_containers import plan_containers, plan_orphans
from compose.reconcile.plan_networks import plan_networks
from compose.reconcile.plan_start import Starts
from compose.reconcile.plan_volumes import plan_volumes
from compose.reconcile.up_draft import UpDraft

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compose.model.project import Project
    from compose.reconcile.desired import DesiredState
    from compose.reconcile.observed import ObservedState
    from compose.reconcile.plan import Plan

UP = UpOptions()


def up(project: Project, observed: ObservedState, options: UpOptions = UP) -> Plan:
    """The plan that makes the project run as its files say.

    Raises NoSuchService, ConsistencyError (cycles, conflicts within the project) and ComposeError (external objects
    that are missing, references that cannot be resolved).
    """
    return reconcile(desired_state(project, options), observed, options)


def scale(project: Project, observed: ObservedState, replicas: Mapping[str, int], *, no_deps: bool = False) -> Plan:
    """The plan that gives the named services that many containers; replicas per service name."""
    return up(project, observed, UpOptions(services=tuple(replicas), scale=replicas, no_deps=no_deps))


def reconcile(desired: DesiredState, observed: ObservedState, options: UpOptions) -> Plan:
    """The plan from observed to desired state."""
    problems = scaled_names(desired.project) + conflicts(desired.project)
    if problems:
        raise ConsistencyError(problems)
    draft = plan_resources(desired, observed, options)
    if options.start:
        starts = Starts(draft, draft.slots, wait_timeout=options.wait_timeout)
        for service in desired.services.values():
            starts.service(service.config)
        if options.wait:
            starts.final(desired.services)
    return draft.finish()


def plan_resources(desired: DesiredState, observed: ObservedState, options: UpOptions) -> UpDraft:
    """A draft with everything but the starts."""
    draft = UpDraft(desired, observed, options)
    draft.warnings.extend(ignored(desired.project))
    plan_orphans(draft)
    plan_networks(draft)
    plan_volumes(draft)
    plan_containers(draft)
    return draft

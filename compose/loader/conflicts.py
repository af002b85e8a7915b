"""Refuses, before anything is created, what the engine would refuse half way: both places are named.

Each rule is about facts of the files alone. Conflicts are between what is to run at the same time, so they are only
looked for among the services that a command is about to create.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.errors import ConsistencyError
from compose.loader.examination import Checks
from compose.loader.faults import find_faults
from compose.loader.report import Report
from compose.model.conflicts import conflicts

if TYPE_CHECKING:
    from compose.model.project import Project


def refuse_conflicts(project: Project) -> None:
    """Raise ConsistencyError with every fault of the enabled services and every conflict between them."""
    report = Report()
    checks = Checks(project, report)
    find_faults(checks)
    find_conflicts(checks)
    report.raise_if_any()


def find_conflicts(checks: Checks) -> None:
    """Report every conflict between the enabled services and in the networks they use."""
    for problem in conflicts(checks.project):
        checks.report.put(ConsistencyError, problem)
    services = list(checks.project.services.values())
    addressed = any(attached and (attached.ipv4_address or attached.ipv6_address)
                    for service in services for attached in service.networks.values())  # fmt: skip
    if addressed or any(network.ipam.config for network in checks.project.networks.values()):
        from compose.loader.addresses import check_addresses

        check_addresses(checks, services)

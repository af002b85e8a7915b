"""Tell what a container holds that no other can hold: host ports and fixed addresses.

Services start independently of each other. Only where one takes over what another gives up in the same plan must the
one wait for the other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compose.reconcile.draft import Draft

Claim = tuple[str, ...]


def claims(body: Mapping[str, Any]) -> Iterator[Claim]:
    """The claims of a create body or of an inspected container."""
    for port, bindings in ((body.get("HostConfig") or {}).get("PortBindings") or {}).items():
        protocol = port.partition("/")[2] or "tcp"
        for binding in bindings or ():
            if binding.get("HostPort"):
                yield ("port", protocol, binding["HostPort"])
    endpoints = body.get("EndpointsConfig") or (body.get("NetworkSettings") or {}).get("Networks") or {}
    for network, endpoint in endpoints.items():
        fixed = (endpoint or {}).get("IPAMConfig") or {}
        for family in ("IPv4Address", "IPv6Address"):
            if fixed.get(family):
                yield ("address", network, fixed[family])


def released(draft: Draft) -> dict[Claim, list[tuple[str, int]]]:
    """What the planned stops and removals set free: claim to service and operation."""
    found: dict[Claim, list[tuple[str, int]]] = {}
    ending = {**draft.stops, **draft.removals}
    for container in draft.observed.containers:
        operation = ending.get(container.id)
        if operation is not None:
            for claim in claims(container.raw):
                found.setdefault(claim, []).append((container.service, operation))
    return found

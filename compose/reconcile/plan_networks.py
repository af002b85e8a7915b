"""Plan the project's networks: create what is missing, replace what diverged.

A network cannot be changed, and not be removed while a container is on it: so all containers on it are stopped, taken
off, and put on the new one. They keep their identity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.model.confighash import network_hash
from compose.reconcile import labels

if TYPE_CHECKING:
    from compose.model.network import NetworkConfig
    from compose.reconcile.observed import ObservedNetwork
    from compose.reconcile.up_draft import UpDraft


def plan_networks(draft: UpDraft) -> None:
    """Add the operations on networks; raises ComposeError for one that is not there or not ours to change."""
    for key, network in draft.project.networks.items():
        found = draft.observed.network(network.name)
        if network.external:
            if found is None:
                raise ComposeError(f"network {network.name} declared as external, but could not be found")
            continue
        if found is None or found.name != network.name:
            draft.networks[key] = _create(draft, key, network, "missing")
            continue
        _check_owner(draft, key, found)
        if found.config_hash and found.config_hash != network_hash(network):
            draft.networks[key] = _replace(draft, key, network)


def network_body(project: str, key: str, network: NetworkConfig) -> dict[str, Any]:
    """Docker's body of a network to be created."""
    body: dict[str, Any] = {
        "Name": network.name,
        "Driver": network.driver or "bridge",
        "Labels": labels.network_labels(project, key, network_hash(network), network.labels),
    }
    optional: dict[str, Any] = {
        "Options": dict(network.driver_opts),
        "Internal": network.internal,
        "Attachable": network.attachable,
        "IPAM": _ipam(network),
    }
    body.update((name, value) for name, value in optional.items() if value)
    said = {"EnableIPv4": network.enable_ipv4, "EnableIPv6": network.enable_ipv6}
    body.update((name, value) for name, value in said.items() if value is not None)
    return body


def _check_owner(draft: UpDraft, key: str, found: ObservedNetwork) -> None:
    hint = "Set `external: true` to use an existing network"
    if found.project is None:
        draft.warnings.append(f"a network with name {found.name} exists but was not created by compose.\n{hint}")
    elif found.project != draft.project.name:
        draft.warnings.append(
            f'a network with name {found.name} exists but was not created for project "{draft.project.name}".\n{hint}'
        )
    said = found.labels.get(labels.NETWORK, "")
    if said != key:
        raise ComposeError(
            f"network {found.name} was found but has incorrect label {labels.NETWORK} "
            f'set to "{said}" (expected: "{key}")'
        )


def _create(draft: UpDraft, key: str, network: NetworkConfig, cause: str, *after: int) -> int:
    return draft.builder.add(
        "CreateNetwork",
        subject=f"network:{key}",
        resource=f"network {network.name}",
        cause=cause,
        depends=after,
        args=network_body(draft.project.name, key, network),
    )


def _replace(draft: UpDraft, key: str, network: NetworkConfig) -> int:
    cause = f"network {key} configuration changed"
    attached = [container for container in draft.observed.containers if network.name in container.networks]
    freed = [draft.removals[container.id] for container in attached if container.id in draft.removals]
    on_it = [container for container in attached if container.id not in draft.removals]
    draft.stop_in_reverse(on_it, cause)
    for container in on_it:
        draft.disturb(container, cause)
        draft.detached.setdefault(container.id, []).append(key)
        stop = draft.stops.get(container.id)
        operation = draft.builder.add(
            "DisconnectNetwork",
            subject=container.subject,
            resource=container.resource,
            cause=cause,
            depends=(stop,),
            args={"Network": network.name, "Container": container.id},
        )
        freed.append(operation)
        draft.before_removal.setdefault(container.id, []).append(operation)
    removed = draft.builder.add(
        "RemoveNetwork",
        subject=f"network:{key}",
        resource=f"network {network.name}",
        cause="configuration changed",
        depends=freed,
        args={"Name": network.name},
    )
    return _create(draft, key, network, "configuration changed", removed)


def _ipam(network: NetworkConfig) -> dict[str, Any]:
    said = network.ipam
    pools = [
        {
            name: value
            for name, value in (
                ("Subnet", pool.subnet),
                ("IPRange", pool.ip_range),
                ("Gateway", pool.gateway),
                ("AuxiliaryAddresses", dict(pool.aux_addresses)),
            )
            if value
        }
        for pool in said.config
    ]
    found: dict[str, Any] = {"Driver": said.driver, "Config": pools, "Options": dict(said.options)}
    return {name: value for name, value in found.items() if value}

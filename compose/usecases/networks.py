"""Networks by themselves: which there are, and plans that create, remove, connect and disconnect them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.reconcile.plan import Plan, PlanBuilder
from compose.usecases import containers, outcomes
from compose.usecases.filters import Filters

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runtime.client.client import Client

LIST_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE_FILTERS = ("label", "label!", "until")
PREDEFINED = frozenset({"bridge", "host", "none"})
POOL_KEYS = ("Subnet", "IPRange", "Gateway", "AuxiliaryAddresses")
KINDS = ("builtin", "custom")


def listed(client: Client, given: Iterable[str] = ()) -> list[dict[str, Any]]:
    """Networks that pass Docker's filters. Raises ComposeError for a filter or a value that there is not."""
    filters = Filters(given, LIST_FILTERS)
    dangling = filters.boolean("dangling")
    kinds = filters.values("type")
    for kind in kinds:
        if kind not in KINDS:
            raise ComposeError(f"invalid filter: 'type'='{kind}'")
    return [
        network
        for network in client.networks()
        if filters.matches("name", network["Name"])
        and filters.matches("id", network["Id"])
        and filters.exactly("driver", network["Driver"])
        and filters.exactly("scope", network["Scope"])
        and filters.labelled(network["Labels"])
        and (not kinds or KINDS[network["Name"] not in PREDEFINED] in kinds)
        and (dangling is None or dangling == _is_dangling(network))
    ]


def described(network: Mapping[str, Any]) -> dict[str, Any]:
    """A network with the keys and in the order of Docker's inspect."""
    ipam = network["IPAM"]
    pools = [{key: pool[key] for key in POOL_KEYS if key in pool} for pool in ipam["Config"] or ()]
    return {
        **{key: network[key] for key in ("Name", "Id", "Created", "Scope", "Driver", "EnableIPv6")},
        "IPAM": {"Driver": ipam["Driver"], "Options": ipam["Options"], "Config": pools or None},
        **{key: network[key] for key in ("Internal", "Attachable")},
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        **{key: dict(sorted(network[key].items())) for key in ("Containers", "Options", "Labels")},
    }


def creation(name: str, body: Mapping[str, Any]) -> Plan:
    """The plan that creates a network from Docker's body."""
    builder = PlanBuilder()
    builder.add(
        "CreateNetwork",
        subject=f"network:{name}",
        resource=f"network {name}",
        cause="created",
        args={"Name": name, **body},
    )
    return builder.build("")


def removal(names: Sequence[str], cause: str = "rm") -> Plan:
    """The plan that removes networks, each for itself."""
    return outcomes.removals("RemoveNetwork", names, cause)


def connection(client: Client, network: str, container: str, settings: Mapping[str, Any]) -> Plan:
    """The plan that puts a container on a network; raises NotFound."""
    return _wiring(client, "ConnectNetwork", network, container, "connected", {"EndpointConfig": dict(settings)})


def disconnection(client: Client, network: str, container: str) -> Plan:
    """The plan that takes a container off a network; raises NotFound."""
    return _wiring(client, "DisconnectNetwork", network, container, "disconnected", {})


def unused(client: Client, given: Iterable[str], moment: Callable[[str], str]) -> list[str]:
    """Names of the networks that no container, running or not, is on; `moment` reads the value of `until`.

    Docker takes those of stopped containers too, which then do not start again.
    """
    filters = Filters(given, PRUNE_FILTERS)
    until = filters.values("until")
    if len(until) > 1:
        raise ComposeError("more than one until filter specified")
    before = moment(until[0]) if until else ""
    used = {
        name
        for container in client.containers(all=True)
        for name in container.get("NetworkSettings", {}).get("Networks", {})
    }
    return [
        network["Name"]
        for network in client.networks()
        if network["Name"] not in PREDEFINED | used
        and (not before or network["Created"].removesuffix("Z") < before)
        and filters.labelled(network["Labels"])
        and not filters.keeps(network["Labels"])
    ]


def _wiring(client: Client, kind: Any, network: str, container: str, cause: str, more: Mapping[str, Any]) -> Plan:
    found, name = client.inspect(container), client.network(network)["Name"]
    builder = PlanBuilder()
    builder.add(
        kind,
        subject=f"container:{containers.name_of(found)}",
        resource=f"container {containers.name_of(found)}",
        cause=f"{cause}: {name}",
        args={"Network": name, "Container": found.get("Id", ""), **more},
    )
    return builder.build("")


def _is_dangling(network: Mapping[str, Any]) -> bool:
    return network["Name"] not in PREDEFINED and not network["Containers"]

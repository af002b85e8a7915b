"""Translate ports, networks, links and shared namespaces of a service into Docker's terms.

The order of endpoints is that of the interfaces: falling priority, then name. A published port may be a range on the
host for one port in the container; the engine takes the first free one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from compose.errors import ComposeError
from compose.graph import service_in_mode

if TYPE_CHECKING:
    from compose.model.network import ServiceNetworkConfig
    from compose.model.service import ServiceConfig
    from compose.reconcile.instance import Instance
    from runtime.wire.containers import EndpointSettings, PortBinding

INTERFACE_NAME = "com.docker.network.endpoint.ifname"
SHAREABLE = (
    ("IpcMode", "ipc", "IPC namespace"),
    ("PidMode", "pid", "PID namespace"),
    ("UTSMode", "uts", "UTS namespace"),
    ("CgroupnsMode", "cgroup", "cgroup namespace"),
)


def exposed_ports(service: ServiceConfig) -> tuple[str, ...]:
    """`80/tcp` for everything in `expose` and `ports`, ranges spread out."""
    found: dict[str, None] = {}
    for said in service.expose:
        numbers, _, protocol = said.partition("/")
        first, _, last = numbers.partition("-")
        for port in range(int(first), int(last or first) + 1):
            found[f"{port}/{(protocol or 'tcp').lower()}"] = None
    for published in service.ports:
        found[f"{published.target}/{published.protocol or 'tcp'}"] = None
    return tuple(found)


def port_bindings(service: ServiceConfig) -> dict[str, list[PortBinding]]:
    """Docker's `PortBindings`."""
    found: dict[str, list[PortBinding]] = {}
    for port in service.ports:
        binding: PortBinding = {"HostIp": port.host_ip, "HostPort": port.published}
        found.setdefault(f"{port.target}/{port.protocol or 'tcp'}", []).append(binding)
    return found


def network_mode(instance: Instance) -> str:
    """The first network's name, or what `network_mode` says with services replaced by containers."""
    service = instance.service
    if service.network_mode:
        return reference(instance, service.network_mode, "network namespace")
    names = endpoint_names(instance)
    return names[0] if names else "none"


def namespace_modes(instance: Instance) -> dict[str, str]:
    """IPC, PID, UTS and cgroup namespaces with services replaced by containers."""
    return {
        key: reference(instance, mode, what)
        for key, attribute, what in SHAREABLE
        if (mode := getattr(instance.service, attribute))
    }


def reference(instance: Instance, mode: str, what: str) -> str:
    """`service:x` as `container:<its first container>`, anything else verbatim; raises ComposeError if x has none."""
    shared = service_in_mode(mode)
    if not shared:
        return mode
    container = instance.containers.get(shared)
    if container is None:
        raise ComposeError(f"cannot share {what} with service {shared}: container missing")
    return f"container:{container}"


def endpoint_names(instance: Instance) -> tuple[str, ...]:
    """Names, in the engine, of the networks to join, in order."""
    if instance.service.network_mode:
        return ()
    networks = instance.project.networks
    return tuple(networks[key].name for key in instance.service.networks_by_priority if key in networks)


def endpoints(instance: Instance) -> dict[str, EndpointSettings]:
    """Docker's `EndpointsConfig`, keyed by network name; empty with a `network_mode`."""
    service = instance.service
    if service.network_mode:
        return {}
    links = container_links(instance)
    found: dict[str, EndpointSettings] = {}
    for position, key in enumerate(service.networks_by_priority):
        network = instance.project.networks.get(key)
        if network is None:
            continue
        attached = service.networks[key]
        if position == 0 and attached is not None and attached.mac_address not in ("", service.mac_address):
            _check_mac_address(service, key)
        found[network.name] = endpoint(instance, attached, links, service.mac_address if position == 0 else "")
    return found


def _check_mac_address(service: ServiceConfig, network: str) -> None:
    if service.mac_address:
        raise ComposeError(
            f"services.{service.name}: the service-level mac_address should have the same value as network {network}"
        )


def endpoint(
    instance: Instance, attached: ServiceNetworkConfig | None, links: list[str], mac_address: str
) -> EndpointSettings:
    """One attachment; `mac_address` is the service's own, which falls to its first network."""
    settings: dict[str, Any] = {"Aliases": aliases(instance, attached)}
    if links:
        settings["Links"] = links
    mac = attached.mac_address if attached is not None and attached.mac_address else mac_address
    if mac:
        settings["MacAddress"] = mac
    if attached is None:
        return cast("EndpointSettings", settings)
    addresses = {
        "IPv4Address": attached.ipv4_address,
        "IPv6Address": attached.ipv6_address,
        "LinkLocalIPs": list(filter(None, attached.link_local_ips)),
    }
    if any(addresses.values()):
        settings["IPAMConfig"] = {key: value for key, value in addresses.items() if value}
    options = dict(attached.driver_opts)
    if attached.interface_name:
        options.setdefault(INTERFACE_NAME, attached.interface_name)
    if options:
        settings["DriverOpts"] = options
    if attached.gw_priority:
        settings["GwPriority"] = attached.gw_priority
    return cast("EndpointSettings", settings)


def aliases(instance: Instance, attached: ServiceNetworkConfig | None) -> list[str]:
    """Container name, service name, then the user's own; a one-off has only its name unless asked otherwise."""
    found = [instance.name]
    if instance.use_aliases:
        found.append(instance.service.name)
        found.extend(attached.aliases if attached is not None else ())
    return list(dict.fromkeys(found))


def container_links(instance: Instance) -> list[str]:
    """`container:alias` for every container of a linked service, and for external links."""
    found: list[str] = []
    for link in instance.service.links:
        service, _, alias = link.partition(":")
        for container in instance.linked.get(service, ()):
            found.append(f"{container}:{alias or service}")
            found.append(f"{container}:{container}")
    for link in instance.service.external_links:
        container, _, alias = link.partition(":")
        found.append(f"{container}:{alias or container}")
    return list(dict.fromkeys(found))

"""Networks of this engine: their records, bridges and address pools.

Leases live in the containers' endpoints, so a restarted engine fills its allocators from the container records, and
an address stays with its container until that is removed or disconnected.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Any

from runtime.engine import predefined
from runtime.engine.clock import new_id, now_rfc3339
from runtime.engine.log import log
from runtime.engine.records import NetworkRecord
from runtime.errors import Conflict, EngineError, Forbidden, InvalidParameter, NotFound, NotSupported
from runtime.linux.rtnetlink import RouteSocket
from runtime.network import bridge, ipam, naming

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

DEFAULT_BRIDGE = "bridge"
MTU_OPTION = "com.docker.network.driver.mtu"


class Networks:
    """All networks by id and name."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.records: dict[str, NetworkRecord] = {}
        self.route = RouteSocket()
        self._allocators: dict[str, list[ipam.Allocator]] = {}
        self._removing: set[str] = set()
        self._leased: set[tuple[str, str]] = set()
        """(network id, container id): an address is given away once, however often its container starts."""

    # --- lookup --------------------------------------------------------------------------------------------------

    def get(self, name: str) -> NetworkRecord:
        """By exact name, full id or unique id prefix; raises NotFound."""
        for record in self.records.values():
            if name in {record.name, record.id}:
                return record
        matches = [record for key, record in self.records.items() if name and key.startswith(name)]
        if len(matches) != 1:
            raise NotFound(f"network {name} not found")
        return matches[0]

    def members(self, record: NetworkRecord) -> list[Container]:
        """Containers, running or not, with an endpoint on the network."""
        return [item for item in self.engine.containers.values() if record.name in item.record.endpoints]

    def listing(self) -> list[dict[str, Any]]:
        """All networks, the predefined ones too."""
        return [*predefined.listing(self.engine), *map(self.inspect, self.records.values())]

    def describe(self, name: str) -> dict[str, Any]:
        """One network, a predefined one too, by name, id or unique id prefix; raises NotFound."""
        return predefined.find(self.engine, name) or self.inspect(self.get(name))

    def inspect(self, record: NetworkRecord) -> dict[str, Any]:
        """Docker's form; `Containers` are the endpoints in use at this instant."""
        containers = {}
        for item in self.members(record):
            endpoint = item.record.endpoints[record.name]
            if item.running and endpoint.get("IPAddress"):
                containers[item.record.id] = {
                    "Name": item.record.name,
                    "EndpointID": endpoint.get("EndpointID", ""),
                    "MacAddress": endpoint.get("MacAddress", ""),
                    "IPv4Address": f"{endpoint['IPAddress']}/{endpoint.get('IPPrefixLen', 0)}",
                    "IPv6Address": _with_prefix(endpoint.get("GlobalIPv6Address"), endpoint.get("GlobalIPv6PrefixLen")),
                }
        return {
            "Id": record.id,
            "Name": record.name,
            "Created": record.created,
            "Driver": record.driver,
            "Scope": "local",
            "Internal": record.internal,
            "Attachable": record.attachable,
            "EnableIPv4": True,
            "EnableIPv6": record.enable_ipv6,
            "IPAM": {"Driver": "default", "Options": record.ipam_options, "Config": record.subnets},
            "Options": record.options,
            "Labels": record.labels,
            "Containers": containers,
        }

    # --- verbs ---------------------------------------------------------------------------------------------------

    async def create(self, args: dict[str, Any]) -> tuple[NetworkRecord, bool]:
        """Docker's create body. An existing network of the name is returned as it is: comparing is the planner's work.

        Raises InvalidParameter or Conflict for addresses, NotSupported for a driver we do not have.
        """
        name = args["Name"]
        if name in predefined.NAMES:
            raise Forbidden(f"operation is not permitted on predefined {name} network")
        if not name.strip() or "/" in name or name != name.strip():
            raise InvalidParameter(f"invalid name: {name!r}, a network's name is not empty and has no slash in it")
        for record in self.records.values():
            if record.name == name:
                return record, False
        driver = args.get("Driver") or "bridge"
        if driver != "bridge":
            raise NotSupported(f"network {name}: driver {driver} is not there: this runtime has bridge, host and none")
        record = self._new_record(name, args)
        if self.route.link(record.bridge) is not None:
            raise Conflict(f"network {name}: interface {record.bridge} exists already, and is not taken over")
        await self._set_up(record)
        self._tell(record, "create")
        return record, True

    async def remove(self, name: str) -> None:
        """Raises NotFound, or Forbidden while containers that run are on it."""
        found = predefined.find(self.engine, name)
        if found is not None or self.get(name).name in predefined.NAMES:
            raise Forbidden(f"{name} is a pre-defined network and cannot be removed")
        record = self.get(name)
        if record.id in self._removing:
            raise NotFound(f"network {name} not found")
        users = [item.record.name for item in self.members(record) if item.active]
        if users:
            raise Forbidden(f"network {record.name} has active endpoints: {', '.join(sorted(users))}")
        self._removing.add(record.id)
        try:
            self._forget(record)
            self.engine.store.discard(self.engine.store.network_folder(record.id))
            await self.engine.ports.networks_changed()
            # The kernel waits for a grace period: not on the loop, and on a socket of its own.
            await asyncio.get_running_loop().run_in_executor(None, _remove_bridges, [self.spec(record)])
        finally:
            self._removing.discard(record.id)
        self.engine.ports.wind_down()
        self._tell(record, "destroy")

    async def default_bridge(self) -> NetworkRecord:
        """The network of containers that ask for none; made when the first one comes."""
        for record in self.records.values():
            if record.name == DEFAULT_BRIDGE:
                return record
        record = self._new_record(DEFAULT_BRIDGE, {})
        await self._set_up(record)
        return record

    # --- addresses -----------------------------------------------------------------------------------------------

    def check_asked(self, record: NetworkRecord, settings: dict[str, Any]) -> None:
        """Raises InvalidParameter for an address of the user's that no subnet of the network has."""
        asked = settings.get("IPAMConfig") or {}
        subnets = [ipaddress.ip_network(config["Subnet"]) for config in record.subnets]
        for key in ("IPv4Address", "IPv6Address"):
            text = str(asked.get(key) or "")
            try:
                known = not text or any(ipaddress.ip_address(text) in subnet for subnet in subnets)
            except ValueError:
                raise InvalidParameter(f"invalid endpoint settings: {text!r} is not an IP address") from None
            if not known:
                raise InvalidParameter(
                    f"invalid endpoint settings: no configured subnet or ip-range contain the IP address {text}"
                )
        for text in asked.get("LinkLocalIPs") or ():
            try:
                link_local = ipaddress.ip_address(text).is_link_local
            except ValueError:
                link_local = False
            if not link_local:
                raise InvalidParameter(f"invalid endpoint settings: invalid link-local IP address: {text}")

    def lease(self, record: NetworkRecord, container: Container) -> None:
        """Give the container's endpoint its addresses, those it had before if it had some."""
        endpoint = container.record.endpoints[record.name]
        if (record.id, container.record.id) in self._leased:
            return
        asked = endpoint.get("IPAMConfig") or {}
        holder = f"container {container.record.name}"
        for allocator in self._allocators[record.id]:
            subnet, gateway = allocator.pool.subnet, "" if record.internal else str(allocator.pool.gateway)
            if subnet.version == 4:
                fixed = asked.get("IPv4Address") or endpoint.get("IPAddress") or ""
                endpoint["IPAddress"] = allocator.allocate(holder, fixed)
                endpoint["IPPrefixLen"], endpoint["Gateway"] = subnet.prefixlen, gateway
            else:
                fixed = asked.get("IPv6Address") or endpoint.get("GlobalIPv6Address") or ""
                endpoint["GlobalIPv6Address"] = allocator.allocate(holder, fixed)
                endpoint["GlobalIPv6PrefixLen"], endpoint["IPv6Gateway"] = subnet.prefixlen, gateway
        self._leased.add((record.id, container.record.id))
        endpoint["NetworkID"] = record.id
        if not endpoint.get("MacAddress"):
            endpoint["MacAddress"] = naming.mac_address(endpoint["IPAddress"])

    def release(self, network: str, container: Container) -> None:
        """Take the addresses of an endpoint back."""
        endpoint = container.record.endpoints.get(network)
        if endpoint is None or endpoint.get("NetworkID") not in self._allocators:
            return
        self._leased.discard((endpoint["NetworkID"], container.record.id))
        for allocator in self._allocators[endpoint["NetworkID"]]:
            key = "IPAddress" if allocator.pool.subnet.version == 4 else "GlobalIPv6Address"
            if endpoint.get(key):
                allocator.release(str(endpoint.get(key)))

    # --- start and end -------------------------------------------------------------------------------------------

    def add(self, record: NetworkRecord) -> None:
        """Take a record into the collection."""
        self.records[record.id] = record
        self._allocators[record.id] = [
            ipam.Allocator(ipam.user_pool(config, [], record.name, internal=record.internal), record.name)
            for config in record.subnets
        ]

    def restore(self) -> None:
        """Make bridges anew where a reboot took them, and note the leases that container records hold."""
        for record in self.records.values():
            try:
                self._make_bridge(record)
            except EngineError as error:
                log.error("network %s could not be set up: %s", record.name, error)
            for container in self.members(record):
                try:
                    self.lease(record, container)
                except EngineError as error:
                    log.error("container %s loses its address: %s", container.record.name, error)
        masters = {link.master for link in self.route.links()}
        _remove_bridges([spec for index, spec in self._lost() if index not in masters])

    def close(self) -> None:
        """The engine leaves and nothing runs: bridges go, records stay."""
        _remove_bridges([*map(self.spec, self.records.values()), *(spec for _, spec in self._lost())])
        self.route.close()

    def spec(self, record: NetworkRecord) -> bridge.NetworkSpec:
        """What the bridge is made from."""
        return bridge.NetworkSpec(
            bridge=record.bridge,
            group=naming.link_group(self.engine.id, record.id),
            gateways=tuple(
                (config["Gateway"], ipaddress.ip_network(config["Subnet"]).prefixlen) for config in record.subnets
            ),
            mtu=self.mtu(record),
        )

    def mtu(self, record: NetworkRecord) -> int:
        """Bytes; 1500 unless the driver option says otherwise."""
        text = record.options.get(MTU_OPTION, "1500")
        if not text.isdecimal() or not 68 <= int(text) <= 65535:
            raise InvalidParameter(f"network {record.name}: option {MTU_OPTION} is {text!r}, expected 68 to 65535")
        return int(text)

    # --- inside --------------------------------------------------------------------------------------------------

    async def _set_up(self, record: NetworkRecord) -> None:
        # bridge and record without a pause between them: whoever finds the record may use the bridge
        self.add(record)
        try:
            self.engine.store.announce_network(record.id)
            self._make_bridge(record)
        except EngineError:
            self._forget(record)
            self.engine.store.discard(self.engine.store.network_folder(record.id))
            raise
        try:
            await self.engine.store.write_network(record)
        except EngineError:
            self._forget(record)
            self.engine.store.discard(self.engine.store.network_folder(record.id))
            await asyncio.get_running_loop().run_in_executor(None, _remove_bridges, [self.spec(record)])
            raise
        await self.engine.ports.networks_changed()

    def _lost(self) -> list[tuple[int, bridge.NetworkSpec]]:
        """Bridges, by index, whose network has no record that can be read: known by the id that names its folder."""
        found = []
        for identifier in self.engine.store.lost_networks():
            name, group = naming.bridge_name(self.engine.id, identifier), naming.link_group(self.engine.id, identifier)
            link = self.route.link(name)
            if link is not None and link.kind == "bridge" and link.group == group:
                found.append((link.index, bridge.NetworkSpec(bridge=name, group=group, gateways=(), mtu=1500)))
        return found

    def _new_record(self, name: str, args: dict[str, Any]) -> NetworkRecord:
        identifier = new_id()
        options = dict(args.get("Options") or {})
        naming.check_options(options, name)
        ipam_args = args.get("IPAM") or {}
        internal = bool(args.get("Internal"))
        taken = self._taken()
        configs = [config for config in ipam_args.get("Config") or [] if config.get("Subnet")]
        pools = []
        for config in configs:
            pool = ipam.user_pool(config, taken, name, internal=internal)
            taken.append(ipam.Taken(subnet=pool.subnet, holder=f"another subnet of network {name}"))
            pools.append(pool)
        if len({pool.subnet.version for pool in pools}) < len(pools):
            raise InvalidParameter(f"network {name}: bridge driver doesn't support multiple subnets of one IP version")
        if not any(pool.subnet.version == 4 for pool in pools):
            pools.insert(0, ipam.default_pool(taken))
        if args.get("EnableIPv6") and not any(pool.subnet.version == 6 for pool in pools):
            pools.append(ipam.default_ipv6_pool(taken, self.engine.id))
        record = NetworkRecord(
            id=identifier,
            name=name,
            created=now_rfc3339(),
            driver="bridge",
            subnets=[pool.to_wire() for pool in pools],
            internal=internal,
            attachable=bool(args.get("Attachable")),
            enable_ipv6=any(pool.subnet.version == 6 for pool in pools),
            options=options,
            ipam_options=dict(ipam_args.get("Options") or {}),
            labels=dict(args.get("Labels") or {}),
            bridge=options.get(naming.BRIDGE_OPTION) or naming.bridge_name(self.engine.id, identifier),
        )
        self.mtu(record)
        return record

    def _taken(self) -> list[ipam.Taken]:
        """Subnets in use: by our networks, and by the host's routes other than those of our own bridges."""
        ours = {record.bridge for record in self.records.values()}
        taken = [
            ipam.Taken(subnet=ipaddress.ip_network(config["Subnet"]), holder=f"network {record.name}")
            for record in self.records.values()
            for config in record.subnets
        ]
        names = {link.index: link.name for link in self.route.links()}
        routes = [
            (route.destination, names.get(route.device, "?")) for route in self.route.routes() if route.destination
        ]
        return taken + ipam.host_routes((destination, name) for destination, name in routes if name not in ours)

    def _make_bridge(self, record: NetworkRecord) -> None:
        bridge.create(self.route, self.spec(record))

    def _forget(self, record: NetworkRecord) -> None:
        self.records.pop(record.id, None)
        self._allocators.pop(record.id, None)
        self.engine.names.forget_network(record.id)

    def _tell(self, record: NetworkRecord, action: str) -> None:
        self.engine.events.publish("network", action, record.id, record.name, record.labels)


def _remove_bridges(specs: list[bridge.NetworkSpec]) -> None:
    if not specs:
        return
    route = RouteSocket()
    try:
        bridge.remove(route, specs)
    finally:
        route.close()


def _with_prefix(address: str | None, prefix: int | None) -> str:
    return f"{address}/{prefix}" if address else ""

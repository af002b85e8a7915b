"""Published ports and the firewall: who has which port, which replicas stand behind it, what the kernel is told.

A port belongs to a group (the replicas of a service): its members share it, connections are dealt out to the healthy
ones, to all that run where none is healthy. Changes are collected for one pass of the event loop and applied in one
transaction. Nothing is applied between `restore` and `settle`, or a new engine would take away what still serves.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from runtime.engine import wiring
from runtime.engine.log import log
from runtime.errors import Conflict, EngineError, SystemFailure
from runtime.linux.atomicfile import read_json, write_json
from runtime.linux.nfnetlink import NetfilterSocket
from runtime.linux.nft import open_nft
from runtime.network import foreign, forwarding, naming, portmap
from runtime.network.firewall import Firewall, Watch
from runtime.network.proxy import Proxy
from runtime.network.ruleset import BridgeRules, PublishedPort

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runtime.engine.container import Container
    from runtime.engine.engine import Engine
    from runtime.engine.records import NetworkRecord

MASQUERADE_OPTION = "com.docker.network.bridge.enable_ip_masquerade"
GATEWAY_MODE_OPTION = "com.docker.network.bridge.gateway_mode_ipv4"
KEY = "port/"


class Ports:
    """All published ports of the engine, and its firewall."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._nft = open_nft()
        self._netfilter = NetfilterSocket()
        self._firewall = Firewall(self._nft, self._netfilter, engine.id)
        self._watch: Watch | None = None
        self._table = portmap.PortTable()
        self._proxy = Proxy()
        self._reservations: dict[str, portmap.Reservation] = {}
        self._members: dict[str, dict[str, int]] = {}
        """Reservation key → container id → port inside."""
        self._bridges: dict[str, BridgeRules] = {}
        self._held = True
        self._applied: asyncio.Future[None] | None = None
        self._forwarding_file = f"{engine.paths.root}/forwarding.json"

    # --- a container's ports -------------------------------------------------------------------------------------

    async def claim(self, container: Container) -> None:
        """Reserve every host port that the container publishes; raises Conflict naming who has one already."""
        record = container.record
        if not _has_ports(container):
            return
        published: dict[str, list[dict[str, str]]] = {}
        for inside, bindings in _bindings(container).items():
            before = record.published.get(inside, [])
            published[inside] = []
            for index, binding in enumerate(bindings):
                reservations = self._reserve(container, inside, binding, before[index:])
                for reservation in reservations:
                    await self._remember(container, inside, reservation)
                    published[inside].append({"HostIp": reservation.host_ip, "HostPort": str(reservation.host_port)})
        record.published = published

    async def publish(self, container: Container) -> None:
        """The container runs: let connections reach it."""
        if not _has_ports(container):
            return
        if not self._claimed(container):
            await self.claim(container)
        self._refresh(self._keys_of(container))
        await self._apply_soon()

    def withdraw(self, container: Container) -> None:
        """The container runs no more, but may again: its ports stay reserved and lead elsewhere meanwhile."""
        keys = self._keys_of(container)
        if keys:
            self._refresh(keys)
            self._apply_soon()

    async def unpublish(self, container: Container) -> None:
        """The container gives its ports up."""
        keys = self._keys_of(container)
        for key in keys:
            self._members[key].pop(container.record.id, None)
        freed = self._table.release(container.record.id)
        for key in freed:
            reservation = self._reservations.pop(key)
            self._members.pop(key, None)
            self._proxy.stop(key)
            self._firewall.publish(_published(reservation), ())
        self._refresh(key for key in keys if key not in freed)
        if keys:
            self._apply_soon()
        # last: another member of the group may give its ports up meanwhile
        for key in freed:
            await self.engine.zygote.drop([key])

    def health_changed(self, container: Container) -> None:
        """Connections go to healthy members only, as long as there are any."""
        keys = self._keys_of(container)
        if keys:
            self._refresh(keys)
            self._apply_soon()

    # --- networks ------------------------------------------------------------------------------------------------

    async def networks_changed(self) -> None:
        """Bring walls, masquerading and foreign firewalls in line with the networks there are."""
        wanted = {record.bridge: _bridge_rules(record) for record in self.engine.networks.records.values()}
        added, removed = wanted.keys() - self._bridges.keys(), self._bridges.keys() - wanted.keys()
        self._bridges = wanted
        for rules in wanted.values():
            self._firewall.set_bridge(rules)
        for name in removed:
            self._firewall.remove_bridge(name)
        if wanted:
            self._enable_forwarding()
        if added or removed:
            self._adjust_foreign(added, removed)
        await self._apply_soon()

    def wind_down(self) -> None:
        """The last network is gone: leave the host as it was before the first one."""
        if self.engine.networks.records:
            return
        self._unwatch()
        self._firewall.remove()
        changed = self._changed_forwarding()
        forwarding.restore(changed, os.listdir("/sys/class/net"))
        if os.path.exists(self._forwarding_file):
            os.unlink(self._forwarding_file)

    # --- start and end -------------------------------------------------------------------------------------------

    async def restore(self) -> None:
        """Note the networks; nothing is told to the kernel until `settle`."""
        await self.networks_changed()

    async def settle(self) -> None:
        """Everything that runs is known: make the kernel agree, and let go of what nobody claims any more."""
        self._held = False
        for key in [key for key in self.engine.zygote.kept if key.startswith(KEY) and not self._table.held(key)]:
            await self.engine.zygote.drop([key])
        if self._bridges:
            try:
                self._firewall.restore()
            except SystemFailure as error:
                log.error("the firewall cannot be set up: %s", error)
            self._start_watching()

    async def close(self) -> None:
        """Nothing runs any more: our tables and rules in foreign ones go."""
        self._unwatch()
        self._proxy.close()
        for key in list(self._reservations):
            await self.engine.zygote.drop([key])
        self._forget_foreign(self._bridges)
        self._firewall.remove()

    def leave_forwarding(self) -> None:
        """After the bridges are gone: switch off what we switched on."""
        changed = self._changed_forwarding()
        if changed:
            forwarding.restore(changed, os.listdir("/sys/class/net"))
            os.unlink(self._forwarding_file)

    # --- inside: reservations ------------------------------------------------------------------------------------

    def _reserve(
        self, container: Container, inside: str, binding: dict[str, str], before: list[dict[str, str]]
    ) -> list[portmap.Reservation]:
        protocol = inside.partition("/")[2] or "tcp"
        group = container.record.port_group or container.record.id
        host_ip = binding.get("HostIp") or self._usual_address(container)
        wanted = portmap.parse_ports(binding.get("HostPort") or "")
        kept = self._adopt_kept(container, group, protocol, host_ip, wanted, before)
        if kept:
            return kept
        try:
            if len(wanted) == 1 and wanted[0] == 0 and before:
                # An ephemeral port is the same after a restart where that can be.
                try:
                    return self._acquire(
                        container, group, protocol, host_ip, portmap.parse_ports(before[0]["HostPort"])
                    )
                except Conflict:
                    pass
            return self._acquire(container, group, protocol, host_ip, wanted)
        except Conflict as error:
            raise self._named(container, error) from None

    def _usual_address(self, container: Container) -> str:
        """Where its network says that ports are bound which name no address; empty for all addresses."""
        name = wiring.default_network(self.engine, container)
        address = self.engine.networks.get(name).options.get(naming.BINDING_OPTION, "") if name else ""
        return "" if address == portmap.ANY_IPV4 else address

    def _acquire(
        self, container: Container, group: str, protocol: str, host_ip: str, ports: range
    ) -> list[portmap.Reservation]:
        return self._table.acquire(container.record.id, group, protocol, host_ip, ports)

    def _adopt_kept(
        self, container: Container, group: str, protocol: str, host_ip: str, wanted: range, before: list[dict[str, str]]
    ) -> list[portmap.Reservation]:
        """Reservations that an earlier engine left in the zygote's store."""
        found = []
        addresses = {host_ip} if host_ip else {portmap.ANY_IPV4, portmap.ANY_IPV6}
        for entry in before:
            key = f"{KEY}{protocol}/{entry['HostIp']}/{entry['HostPort']}"
            if entry["HostIp"] not in addresses or key not in self.engine.zygote.kept:
                continue
            if wanted != range(1) and int(entry["HostPort"]) not in wanted:
                continue
            if self._table.held(key) and key not in self._reservations:
                continue
            shared = self._table.adopt(
                container.record.id, group, portmap.adopt(key, os.dup(self.engine.zygote.kept[key]))
            )
            found.append(shared)
        return found

    async def _remember(self, container: Container, inside: str, reservation: portmap.Reservation) -> None:
        key = reservation.key
        self._members.setdefault(key, {})[container.record.id] = int(inside.partition("/")[0])
        if key not in self._reservations:
            self._reservations[key] = reservation
            if key not in self.engine.zygote.kept:
                await self.engine.zygote.keep(key, os.dup(reservation.sock.fileno()))

    def _named(self, container: Container, error: Conflict) -> Conflict:
        """Containers are known to the table by id: tell their names."""
        message = error.message
        for other in self.engine.containers.values():
            message = message.replace(other.record.id, f"container {other.record.name}")
        return Conflict(f"container {container.record.name}: {message}", **error.fields)

    def _claimed(self, container: Container) -> bool:
        return any(container.record.id in members for members in self._members.values())

    def _keys_of(self, container: Container) -> list[str]:
        return [key for key, members in self._members.items() if container.record.id in members]

    # --- inside: backends ----------------------------------------------------------------------------------------

    def _refresh(self, keys: Iterable[str]) -> None:
        for key in keys:
            reservation = self._reservations[key]
            members = self._members[key]
            running = [
                (container, port)
                for identifier, port in members.items()
                if (container := self.engine.containers.get(identifier)) is not None and container.running
            ]
            healthy = [pair for pair in running if pair[0].health is None or pair[0].health.status == "healthy"]
            serving = healthy or running
            ipv4 = tuple((address, port) for item, port in serving if (address := self._address(item, "IPAddress")))
            ipv6 = tuple(
                (address, port) for item, port in serving if (address := self._address(item, "GlobalIPv6Address"))
            )
            published = _published(reservation)
            self._firewall.publish(published, ipv6 if published.family == "ip6" else ipv4)
            self._proxy.serve(reservation, ipv6 if published.family == "ip6" and ipv6 else ipv4)

    def _address(self, container: Container, key: str) -> str:
        """The container's address on the network that leads outside, else on any."""
        endpoints = container.record.endpoints
        names = sorted(endpoints, key=lambda name: -int(endpoints[name].get("GwPriority") or 0))
        found = [str(endpoints[name].get(key) or "") for name in names if self._outside(name)]
        return next((address for address in found if address), "")

    def _outside(self, name: str) -> bool:
        return any(record.name == name and not record.internal for record in self.engine.networks.records.values())

    # --- inside: the kernel --------------------------------------------------------------------------------------

    def _apply_soon(self) -> asyncio.Future[None]:
        """Done when the kernel has what was changed up to now."""
        loop = asyncio.get_running_loop()
        if self._held:
            done: asyncio.Future[None] = loop.create_future()
            done.set_result(None)
            return done
        if self._applied is None:
            self._applied = loop.create_future()
            # A failure that nobody waits for is logged by _apply.
            self._applied.add_done_callback(lambda future: future.exception())
            loop.call_soon(self._apply)
        return self._applied

    def _apply(self) -> None:
        done, self._applied = self._applied, None
        if done is None:
            return
        try:
            self._firewall.apply()
        except EngineError as error:
            log.error("the firewall refused a change: %s", error)
            done.set_exception(error)
            return
        self._start_watching()
        done.set_result(None)

    def _start_watching(self) -> None:
        """Somebody's flush takes our tables too: put them back."""
        if self._watch is not None:
            return
        try:
            self._watch = Watch(self.engine.id)
        except EngineError as error:
            log.warning("firewall changes of others cannot be watched: %s", error)
            return
        asyncio.get_running_loop().add_reader(self._watch.fileno(), self._foreign_change)

    def _foreign_change(self) -> None:
        if self._watch is None or not self._watch.lost() or self._firewall.intact():
            return
        log.warning("somebody deleted the firewall table of engine %s: it is put back", self.engine.id)
        try:
            self._firewall.restore()
            self._adjust_foreign(set(self._bridges), set())
        except EngineError as error:
            log.error("the firewall cannot be put back: %s", error)

    def _unwatch(self) -> None:
        if self._watch is not None:
            asyncio.get_running_loop().remove_reader(self._watch.fileno())
            self._watch.close()
            self._watch = None

    def _adjust_foreign(self, added: Iterable[str], removed: Iterable[str]) -> None:
        chains = self._netfilter.chains()
        if added:
            warning = foreign.try_accept_bridges(self._nft, chains, list(added))
            for text in [warning] if warning else foreign.culprits(chains):
                log.warning("container traffic may be dropped: %s", text)
        if removed:
            self._forget_foreign(removed, chains)

    def _forget_foreign(self, bridges: Iterable[str], chains: Any = None) -> None:
        try:
            foreign.forget_bridges(self._nft, chains or self._netfilter.chains(), list(bridges))
        except EngineError as error:
            log.warning("rules in docker's chain could not be removed: %s", error)

    def _enable_forwarding(self) -> None:
        ipv6 = any(record.enable_ipv6 for record in self.engine.networks.records.values())
        before = self._changed_forwarding()
        changed = forwarding.enable(ipv6=ipv6)
        if changed.keys() - before.keys():
            write_json(self._forwarding_file, {**changed, **before})
        # Where we made the host a router, it routes for our networks only.
        self._firewall.refuse_foreign(bool({**changed, **before}))

    def _changed_forwarding(self) -> dict[str, str]:
        try:
            found = read_json(self._forwarding_file)
        except (FileNotFoundError, ValueError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _has_ports(container: Container) -> bool:
    mode = container.record.host_config.get("NetworkMode") or "default"
    if mode in {"host", "none"} or mode.startswith("container:"):
        return False
    return bool(_bindings(container))


def _bindings(container: Container) -> dict[str, list[dict[str, str]]]:
    """Bindings asked for, keyed `80/tcp`; with PublishAllPorts every exposed port gets an ephemeral one."""
    host_config = container.record.host_config
    found: dict[str, list[dict[str, str]]] = {}
    if host_config.get("PublishAllPorts"):
        found.update({port: [{}] for port in container.record.config.get("ExposedPorts", {})})
    for port, bindings in (host_config.get("PortBindings") or {}).items():
        found[port] = [dict(binding) for binding in bindings] or [{}]  # type: ignore[arg-type]
    return found


def _published(reservation: portmap.Reservation) -> PublishedPort:
    return PublishedPort(protocol=reservation.protocol, host_ip=reservation.host_ip, host_port=reservation.host_port)


def _bridge_rules(record: NetworkRecord) -> BridgeRules:
    return BridgeRules(
        name=record.bridge,
        subnets=tuple(config["Subnet"] for config in record.subnets),
        internal=record.internal,
        masquerade=record.options.get(MASQUERADE_OPTION, "true").lower() != "false",
        protected=record.options.get(GATEWAY_MODE_OPTION, "nat") not in {"routed", "nat-unprotected"},
    )

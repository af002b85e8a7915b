"""Sandboxes: the network namespaces of containers, their endpoints, and who shares them.

A sandbox belongs to one container and may be shared by others (`container:ID`). It outlives a restart; it goes when the
last container in it stopped for good. Its descriptors lie in the zygote's store and in each shim, so that DNS queries
wait in their socket while an engine is replaced instead of being refused.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.engine.clock import new_id
from runtime.engine.log import log
from runtime.errors import Conflict, EngineError, Forbidden, NotFound, Unavailable
from runtime.linux.rtnetlink import RouteSocket
from runtime.network import endpoint, naming

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine
    from runtime.engine.records import NetworkRecord
    from runtime.engine.run import Run
    from runtime.wire.containers import EndpointSettings

PARTS = ("netns", "rtnl", "dns_udp", "dns_tcp")
KEY = "sandbox"
HOST_IS_FIXED = "container cannot be disconnected from host network or connected to host network"
NONE_IS_ALONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
SHARED_IS_FIXED = (
    "container sharing network namespace with another container or host cannot be connected to any other network"
)


@dataclass(kw_only=True, slots=True)
class Sandbox:
    """One network namespace. `fds` by part; the zygote has duplicates of them all."""

    owner: str
    fds: dict[str, int] = field(default_factory=dict)
    route: RouteSocket | None = None
    users: set[str] = field(default_factory=set)
    wired: set[str] = field(default_factory=set)
    """Networks (ids) that have their endpoint in it."""


class Sandboxes:
    """All sandboxes by the id of their owner."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sandboxes: dict[str, Sandbox] = {}
        self._opening: dict[str, asyncio.Lock] = {}

    # --- the life of a run ---------------------------------------------------------------------------------------

    async def acquire(self, container: Container) -> dict[str, int]:
        """The descriptors that a start of the container hands to its shim; empty on the host's network.

        Raises Conflict when the network it shares is of a container that does not run.
        """
        await self._complete_endpoints(container)
        owner = self._owner(container)
        if owner is None:
            return {}
        if owner is not container and not owner.running:
            raise Conflict(
                f"container {container.record.name} shares the network of {owner.record.name}, which is not running"
            )
        async with self._opening.setdefault(owner.record.id, asyncio.Lock()):
            sandbox = self._sandboxes.get(owner.record.id)
            if sandbox is not None and owner is container and self._outdated(container, sandbox):
                await self._close(sandbox)
                sandbox = None
            if sandbox is None:
                sandbox = await self._make(owner)
        sandbox.users.add(container.record.id)
        return {part: fd for part, fd in sandbox.fds.items() if part != "rtnl"}

    async def wire(self, container: Container) -> None:
        """Give the sandbox its interfaces and the names that lead to it."""
        sandbox = self._sandboxes.get(container.record.id)
        if sandbox is None:
            return
        for index, name in enumerate(self._in_order(container)):
            network = self.engine.networks.get(name)
            if network.id not in sandbox.wired:
                self._plug(container, sandbox, network, f"eth{index}", default=name == self._way_out(container))
        self.engine.names.update(container)

    async def adopt(self, container: Container, run: Run) -> None:
        """Take up the sandbox of a container that was found running: from the zygote, its shim, or its pid 1."""
        owner = self._owner(container)
        if owner is None:
            return
        sandbox = self._sandboxes.get(owner.record.id)
        if sandbox is None and owner is container:
            sandbox = await self._recover(container, run)
        if sandbox is None:
            return
        sandbox.users.add(container.record.id)
        if owner is container:
            sandbox.wired = {
                self.engine.networks.get(name).id for name in container.record.endpoints if self._has(name)
            }
            self.engine.names.update(container)

    async def release(self, container: Container) -> None:
        """The container stopped for good: its names go, and its sandbox with the last user."""
        owner = self._owner_or_none(container)
        self.engine.names.remove(container)
        await self.engine.ports.unpublish(container)
        if owner is None:
            return
        sandbox = self._sandboxes.get(owner)
        if sandbox is None:
            return
        sandbox.users.discard(container.record.id)
        if not sandbox.users:
            await self._close(sandbox)

    def forget(self, container: Container) -> None:
        """The container is removed: its addresses are free again."""
        for name in container.record.endpoints:
            self.engine.networks.release(name, container)

    # --- changes of a running container --------------------------------------------------------------------------

    async def connect(self, container: Container, name: str, settings: dict[str, Any]) -> None:
        """Put a container, running or not, on one more network."""
        network = await self._to_join(container, name)
        endpoints = container.record.endpoints
        if network.name in endpoints:
            raise Conflict(f"endpoint with name {container.record.name} already exists in network {network.name}")
        self.engine.networks.check_asked(network, settings)
        endpoints[network.name] = dict(settings)  # type: ignore[assignment]
        sandbox = self._sandboxes.get(container.record.id)
        if sandbox is not None and sandbox.route is not None and container.running:
            try:
                self.engine.networks.lease(network, container)
                taken = {link.name for link in sandbox.route.links()}
                free = next(name for number in range(len(taken) + 1) if (name := f"eth{number}") not in taken)
                self._plug(container, sandbox, network, free, default=False)
                self._reroute(container, sandbox)
            except EngineError:
                self.engine.networks.release(network.name, container)
                await self._take_off(sandbox, network, endpoints.pop(network.name))
                raise
            self.engine.names.update(container)
            await self.engine.ports.publish(container)
        await self.engine.store.write_container(container.record)
        self.engine.events.publish("network", "connect", network.id, network.name, {"container": container.record.id})

    async def disconnect(self, container: Container, name: str) -> bool:
        """Take a container off a network; False if it is not on it. Raises Forbidden for the host's network."""
        if name == "host" and container.record.host_config.get("NetworkMode") == "host":
            raise Forbidden(HOST_IS_FIXED)
        try:
            network = self.engine.networks.get(name)
        except NotFound:
            return container.record.endpoints.pop(name, None) is not None
        settings = container.record.endpoints.get(network.name)
        if settings is None:
            return False
        self.engine.networks.release(network.name, container)
        container.record.endpoints.pop(network.name)
        sandbox = self._sandboxes.get(container.record.id)
        if sandbox is not None and network.id in sandbox.wired:
            await self._take_off(sandbox, network, settings)
            self._reroute(container, sandbox)
            self.engine.names.update(container)
            if container.running:
                await self.engine.ports.publish(container)
        await self.engine.store.write_container(container.record)
        self.engine.events.publish(
            "network", "disconnect", network.id, network.name, {"container": container.record.id}
        )
        return True

    def names_changed(self, container: Container) -> None:
        """The container was renamed."""
        if container.record.id in self._sandboxes:
            self.engine.names.update(container)

    def dns_sockets(self, container_id: str) -> tuple[int, int] | None:
        """UDP and TCP descriptors of the resolver in a sandbox, if it has one."""
        sandbox = self._sandboxes.get(container_id)
        if sandbox is None or "dns_udp" not in sandbox.fds:
            return None
        return sandbox.fds["dns_udp"], sandbox.fds["dns_tcp"]

    def namespace(self, container_id: str) -> int | None:
        """The descriptor of a sandbox's network namespace, if there is one."""
        sandbox = self._sandboxes.get(container_id)
        return None if sandbox is None else sandbox.fds.get("netns")

    async def drop_unused(self) -> None:
        """Descriptors that an earlier engine stored for what is gone now."""
        parts = [(key, *key.split(":")) for key in self.engine.zygote.kept if key.startswith(f"{KEY}:")]
        unused = [key for key, _, owner, _ in parts if owner not in self._sandboxes]
        if unused:
            await self.engine.zygote.drop(unused)

    # --- inside --------------------------------------------------------------------------------------------------

    def _owner(self, container: Container) -> Container | None:
        """Whose sandbox the container lives in; None: the host's network. Raises NotFound."""
        mode = container.record.host_config.get("NetworkMode") or "default"
        if mode == "host":
            return None
        if mode.startswith("container:"):
            return self.engine.container(mode.removeprefix("container:"))
        return container

    def _outdated(self, container: Container, sandbox: Sandbox) -> bool:
        """Whether its networks changed while it was kept for a restart and nobody else lives in it."""
        networks = {self.engine.networks.get(name).id for name in container.record.endpoints}
        return sandbox.users <= {container.record.id} and sandbox.wired != networks

    def _owner_or_none(self, container: Container) -> str | None:
        try:
            owner = self._owner(container)
        except NotFound:
            mode = container.record.host_config.get("NetworkMode", "")
            wanted = mode.removeprefix("container:")
            return next((key for key in self._sandboxes if key.startswith(wanted)), None)
        return None if owner is None else owner.record.id

    async def _complete_endpoints(self, container: Container) -> None:
        """Endpoints get their addresses; a container that named no network gets the default bridge."""
        record = container.record
        mode = record.host_config.get("NetworkMode") or "default"
        if mode in {"host", "none"} or mode.startswith("container:"):
            return
        if not record.endpoints:
            if mode in {"default", "bridge"}:
                network = await self.engine.networks.default_bridge()
            else:
                network = self.engine.networks.get(mode)
            record.endpoints[network.name] = {}
        for name in record.endpoints:
            self.engine.networks.lease(self.engine.networks.get(name), container)

    def _in_order(self, container: Container) -> list[str]:
        """Networks in the order of their interfaces; the one with the highest gateway priority leads outside."""
        endpoints = container.record.endpoints
        return sorted(endpoints, key=lambda name: -int(endpoints[name].get("GwPriority") or 0))

    def _way_out(self, container: Container) -> str:
        """The network whose gateway is the default route, empty if there is none: internal ones lead nowhere."""
        networks = self.engine.networks
        return next((name for name in self._in_order(container) if not networks.get(name).internal), "")

    def _reroute(self, container: Container, sandbox: Sandbox) -> None:
        """Have the default route lead through the network that it should, after one came or went."""
        settings = container.record.endpoints.get(self._way_out(container))
        if settings is None or sandbox.route is None:
            return
        gateways = tuple(str(gateway) for key in ("Gateway", "IPv6Gateway") if (gateway := settings.get(key)))
        index = next((each.index for each in sandbox.route.addresses() if each.address == settings["IPAddress"]), 0)
        interface = next((link.name for link in sandbox.route.links() if link.index == index), "")
        if gateways and interface:
            endpoint.set_gateways(sandbox.route, interface, gateways)

    async def _to_join(self, container: Container, name: str) -> NetworkRecord:
        """The network a container is to be put on; Forbidden where it has none of its own. Raises NotFound."""
        mode = container.record.host_config.get("NetworkMode") or "default"
        if "host" in (mode, name):
            raise Forbidden(HOST_IS_FIXED)
        if "none" in (mode, name):
            raise Forbidden(NONE_IS_ALONE)
        if mode.startswith("container:"):
            raise Forbidden(SHARED_IS_FIXED)
        return await self.engine.networks.default_bridge() if name == "bridge" else self.engine.networks.get(name)

    def _has(self, name: str) -> bool:
        try:
            self.engine.networks.get(name)
        except NotFound:
            return False
        return True

    async def _make(self, owner: Container) -> Sandbox:
        keys = [f"{KEY}:{owner.record.id}:{part}" for part in PARTS]
        fds = await self.engine.zygote.sandbox(keys, dns=bool(owner.record.endpoints))
        return self._open(owner, dict(zip(PARTS, fds, strict=False)))

    def _open(self, owner: Container, fds: dict[str, int]) -> Sandbox:
        sandbox = Sandbox(owner=owner.record.id, fds=fds, route=RouteSocket(os.dup(fds["rtnl"])))
        self._sandboxes[owner.record.id] = sandbox
        return sandbox

    async def _recover(self, container: Container, run: Run) -> Sandbox | None:
        kept = self.engine.zygote.kept
        prefix = f"{KEY}:{container.record.id}:"
        fds = {part: kept[prefix + part] for part in PARTS if prefix + part in kept}
        if "rtnl" in fds:
            return self._open(container, fds)
        return await self._rebuild(container, run)

    async def _rebuild(self, container: Container, run: Run) -> Sandbox | None:
        """Zygote and engine died together: the shim has the namespace and the DNS sockets still."""
        if run.link is None:
            return None
        try:
            held = await run.link.fetch()
        except (Unavailable, TimeoutError) as error:
            log.error("container %s: its sandbox cannot be recovered: %s", container.record.name, error)
            return None
        if "netns" not in held:
            return None
        # A fresh rtnetlink socket inside; the DNS sockets stay those that queries already wait in.
        _, fds = await self.engine.zygote.request("sandbox", [held["netns"]], dns="dns_udp" not in held)
        made = dict(zip(PARTS, fds, strict=False))
        os.close(made.pop("netns"))
        sandbox = self._open(container, {**made, **held})
        for part, fd in sandbox.fds.items():
            await self.engine.zygote.keep(f"{KEY}:{container.record.id}:{part}", fd)
        return sandbox

    def _plug(
        self, container: Container, sandbox: Sandbox, network: NetworkRecord, interface: str, *, default: bool
    ) -> None:
        settings = container.record.endpoints[network.name]
        if sandbox.route is None:
            raise Unavailable(f"container {container.record.name}: its sandbox is closed")
        # A new id, hence a new interface name, for each sandbox: the kernel takes the old pair down in its own time.
        settings["EndpointID"] = new_id()
        addresses = [(settings["IPAddress"], settings["IPPrefixLen"])]
        if settings.get("GlobalIPv6Address"):
            addresses.append((settings["GlobalIPv6Address"], settings["GlobalIPv6PrefixLen"]))
        gateways = [settings.get("Gateway", ""), settings.get("IPv6Gateway", "")] if default else []
        endpoint.connect(
            self.engine.networks.route,
            sandbox.fds["netns"],
            sandbox.route,
            endpoint.EndpointSpec(
                ifname=(settings.get("DriverOpts") or {}).get("com.docker.network.endpoint.ifname") or interface,
                host_ifname=naming.host_interface_name(self.engine.id, settings["EndpointID"]),
                bridge=network.bridge,
                group=naming.link_group(self.engine.id, network.id),
                mac=settings["MacAddress"],
                addresses=tuple(addresses),
                gateways=tuple(gateway for gateway in gateways if gateway),
                mtu=self.engine.networks.mtu(network),
                hairpin=bool(container.record.host_config.get("PortBindings")),
                isolated=network.options.get("com.docker.network.bridge.enable_icc", "true").lower() == "false",
            ),
        )
        sandbox.wired.add(network.id)

    async def _take_off(self, sandbox: Sandbox, network: NetworkRecord, settings: EndpointSettings) -> None:
        """Unplug a network from a sandbox that lives on; one that is not plugged in counts as done."""
        if network.id not in sandbox.wired:
            return
        sandbox.wired.discard(network.id)
        interface = naming.host_interface_name(self.engine.id, settings["EndpointID"])
        # The kernel waits for a grace period: not on the loop.
        await asyncio.get_running_loop().run_in_executor(None, _unplug, interface)

    async def _close(self, sandbox: Sandbox) -> None:
        """The last descriptors go; the kernel takes namespace and interfaces down behind them."""
        self._sandboxes.pop(sandbox.owner, None)
        self.engine.names.close_sandbox(sandbox.owner)
        self._opening.pop(sandbox.owner, None)
        if sandbox.route is not None:
            sandbox.route.close()
        try:
            await self.engine.zygote.drop([f"{KEY}:{sandbox.owner}:{part}" for part in sandbox.fds])
        except EngineError as error:
            log.error("sandbox %s: %s", sandbox.owner[:12], error)


def _unplug(interface: str) -> None:
    route = RouteSocket()
    try:
        endpoint.disconnect(route, interface)
    finally:
        route.close()

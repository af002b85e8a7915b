"""Sandboxes: the network namespaces of containers, their endpoints, and who shares them.

A sandbox belongs to one container and may be shared by others (`container:ID`). It outlives a restart, cleared of what
the ended program left in it; it goes when the last container in it stopped for good. Its descriptors lie in the zygote's
store and in each shim, so that DNS queries wait in their socket while an engine is replaced instead of being refused.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from runtime.engine import wiring
from runtime.engine.log import log
from runtime.engine.wiring import Sandbox
from runtime.errors import Conflict, EngineError, Forbidden, NotFound, Unavailable
from runtime.linux.rtnetlink import RouteSocket
from runtime.oci import capabilities

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine
    from runtime.engine.records import NetworkRecord
    from runtime.engine.run import Run

PARTS = ("netns", "rtnl", "dns_udp", "dns_tcp")
KEY = "sandbox"
LINGERING = 1.0
"""Seconds after which interfaces are taken down that have not gone with their namespace."""
HOST_IS_FIXED = "container cannot be disconnected from host network or connected to host network"
NONE_IS_ALONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
SHARED_IS_FIXED = (
    "container sharing network namespace with another container or host cannot be connected to any other network"
)


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
            if sandbox is not None and not await self._clear(container, sandbox):
                await wiring.unplug(sandbox, sandbox.wired)  # at once: sockets may keep the namespace for minutes
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
        await wiring.adjust(self.engine, container, sandbox)
        self.engine.names.update(container)

    async def adopt(self, container: Container, run: Run) -> None:
        """Take up the sandbox that a container was found running in: from the zygote, or from its shim.

        Its owner need not run: whoever shares it keeps it, and has its resolver answer.
        """
        owner = self._owner(container)
        if owner is None:
            return
        async with self._opening.setdefault(owner.record.id, asyncio.Lock()):
            sandbox = self._sandboxes.get(owner.record.id) or await self._recover(owner, run)
        if sandbox is None:
            return
        sandbox.users.add(container.record.id)
        if owner is container:
            self.engine.names.update(container)
        else:
            self.engine.names.serve(owner)

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
        self._opening.pop(container.record.id, None)
        for name in container.record.endpoints:
            self.engine.networks.release(name, container)

    # --- changes of its networks ---------------------------------------------------------------------------------

    async def connect(self, container: Container, name: str, settings: dict[str, Any]) -> None:
        """Put a container, running or not, on one more network."""
        network = await self._to_join(container, name)
        endpoints = container.record.endpoints
        if network.name in endpoints:
            raise Conflict(f"endpoint with name {container.record.name} already exists in network {network.name}")
        self.engine.networks.check_asked(network, settings)
        endpoints[network.name] = dict(settings)  # type: ignore[assignment]
        sandbox = self._sandboxes.get(container.record.id)
        if sandbox is not None:
            try:
                self.engine.networks.lease(network, container)
                await wiring.adjust(self.engine, container, sandbox)
            except EngineError:
                self.engine.networks.release(network.name, container)
                endpoints.pop(network.name)
                await wiring.unplug(sandbox, [network.id])
                raise
            await self._networks_changed(container)
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
        if network.name not in container.record.endpoints:
            return False
        self.engine.networks.release(network.name, container)
        container.record.endpoints.pop(network.name)
        sandbox = self._sandboxes.get(container.record.id)
        if sandbox is not None:
            await wiring.adjust(self.engine, container, sandbox)
            await self._networks_changed(container)
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

    async def _clear(self, container: Container, sandbox: Sandbox) -> bool:
        """Whether the program that starts finds the sandbox as good as new, cleared of what the last one left in it.

        In one that others live in whatever is left stays: they need it more than the program a new one.
        """
        others = (self.engine.containers.get(user) for user in sandbox.users - {container.record.id})
        shared = any(other is not None and other.running for other in others)
        if not shared and _administers(container):
            return False
        try:
            answer, _ = await self.engine.zygote.request("clear", [sandbox.fds["netns"]])
        except EngineError as error:
            log.info("container %s: its sandbox cannot be cleared: %s", container.record.name, error)
            return shared
        return shared or not answer["left"]

    async def _networks_changed(self, container: Container) -> None:
        if container.running:
            self.engine.names.update(container)
            await self.engine.ports.publish(container)
        else:
            self.engine.names.serve(container)

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

    async def _make(self, owner: Container) -> Sandbox:
        keys = [f"{KEY}:{owner.record.id}:{part}" for part in PARTS]
        fds = await self.engine.zygote.sandbox(keys, dns=bool(owner.record.endpoints))
        return self._open(owner, dict(zip(PARTS, fds, strict=False)))

    def _open(self, owner: Container, fds: dict[str, int]) -> Sandbox:
        sandbox = Sandbox(owner=owner.record.id, fds=fds, route=RouteSocket(os.dup(fds["rtnl"])))
        self._sandboxes[owner.record.id] = sandbox
        return sandbox

    async def _recover(self, owner: Container, run: Run) -> Sandbox | None:
        """The sandbox that an earlier engine made: from the zygote's store, else from the shim of whoever runs in it."""
        kept = self.engine.zygote.kept
        prefix = f"{KEY}:{owner.record.id}:"
        fds = {part: kept[prefix + part] for part in PARTS if prefix + part in kept}
        sandbox = self._open(owner, fds) if "rtnl" in fds else await self._rebuild(owner, run)
        if sandbox is not None:
            sandbox.wired = wiring.wired(self.engine, owner)
        return sandbox

    async def _rebuild(self, owner: Container, run: Run) -> Sandbox | None:
        """Zygote and engine died together: the shim has the namespace and the DNS sockets still."""
        if run.link is None:
            return None
        try:
            held = await run.link.fetch()
        except (Unavailable, TimeoutError) as error:
            log.error("container %s: its sandbox cannot be recovered: %s", run.container.record.name, error)
            return None
        if "netns" not in held:
            return None
        # A fresh rtnetlink socket inside; the DNS sockets stay those that queries already wait in.
        _, fds = await self.engine.zygote.request("sandbox", [held["netns"]], dns="dns_udp" not in held)
        made = dict(zip(PARTS, fds, strict=False))
        os.close(made.pop("netns"))
        sandbox = self._open(owner, {**made, **held})
        for part, fd in sandbox.fds.items():
            await self.engine.zygote.keep(f"{KEY}:{owner.record.id}:{part}", fd)
        return sandbox

    async def _close(self, sandbox: Sandbox) -> None:
        """The last descriptors go; the kernel takes namespace and interfaces down behind them."""
        self._sandboxes.pop(sandbox.owner, None)
        self.engine.names.close_sandbox(sandbox.owner)
        if sandbox.route is not None:
            sandbox.route.close()
        asyncio.get_running_loop().call_later(LINGERING, wiring.take_down, sandbox)
        try:
            await self.engine.zygote.drop([f"{KEY}:{sandbox.owner}:{part}" for part in sandbox.fds])
        except EngineError as error:
            log.error("sandbox %s: %s", sandbox.owner[:12], error)


def _administers(container: Container) -> bool:
    """Whether its program may have changed the namespace itself: interfaces, routes, rules."""
    host_config = container.record.host_config
    granted = capabilities.grant(
        host_config.get("CapAdd") or (),
        host_config.get("CapDrop") or (),
        privileged=bool(host_config.get("Privileged")),
    )
    return "CAP_NET_ADMIN" in granted

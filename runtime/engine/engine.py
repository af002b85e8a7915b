"""The engine: its objects by id and name, and the verbs that create and remove them.

Everything about one running container is its owner's business (container.py); everything about its network is the
sandbox's (sandboxes.py). Here is what concerns the collection: names, ids, records, start-up and shutdown.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from runtime.cgroups import layout, placement
from runtime.engine import creation
from runtime.engine.bundle import remove_bundle
from runtime.engine.clock import boot_id, now_rfc3339
from runtime.engine.container import Container
from runtime.engine.events import EventBus
from runtime.engine.executor import Executor
from runtime.engine.health import HealthMonitor
from runtime.engine.hooks import run_hook
from runtime.engine.images import Images
from runtime.engine.log import log
from runtime.engine.names import Names
from runtime.engine.networks import Networks
from runtime.engine.ports import Ports
from runtime.engine.registry import Registry
from runtime.engine.sandboxes import Sandboxes
from runtime.engine.steps import Steps
from runtime.engine.store import Store
from runtime.engine.workers import Workers
from runtime.engine.zygote import Zygote
from runtime.errors import Conflict, NotFound, SystemFailure
from runtime.volumes.store import VolumeStore

if TYPE_CHECKING:
    from runtime.engine.records import ContainerRecord
    from runtime.paths import Paths

SHORT_ID = 12


class Engine:
    """All that one data root holds."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self.store = Store(paths)
        self.id = self.store.engine_id()
        self.boot_id = boot_id()
        self.started_at = now_rfc3339()
        self.cgroups = layout.detect()
        self.events = EventBus()
        self.steps = Steps()
        self.workers = Workers(paths)
        self.zygote = Zygote(paths, self._zygote_replaced)
        self.images = Images(self)
        self.registry = Registry(self)
        self.volumes = VolumeStore(paths)
        self.names = Names(self)
        self.networks = Networks(self)
        self.ports = Ports(self)
        self.sandboxes = Sandboxes(self)
        self.executor = Executor(self)
        self.containers: dict[str, Container] = {}
        self._names: dict[str, Container] = {}
        self.leaving = asyncio.Event()
        self.handover = False
        self.resuming: asyncio.Task[None] | None = None
        """Restarts what its policy brings back after a boot."""
        self._shutting_down: asyncio.Task[None] | None = None

    # --- containers ----------------------------------------------------------------------------------------------

    def container(self, name: str) -> Container:
        """By full id, name or unique id prefix; raises NotFound, or Conflict for an ambiguous prefix."""
        wanted = name.removeprefix("/")
        found = self.containers.get(wanted) or self._names.get(wanted)
        if found is not None:
            return found
        matches = [item for key, item in self.containers.items() if key.startswith(wanted)] if wanted else []
        if len(matches) > 1:
            raise Conflict(f"container id {wanted} is ambiguous: {len(matches)} containers begin with it")
        if not matches:
            raise NotFound(f"no such container: {wanted}")
        return matches[0]

    def add_container(self, record: ContainerRecord) -> Container:
        """Take a record into the collection."""
        container = Container(self, record)
        self.containers[record.id] = container
        self._names[record.name] = container
        return container

    async def create_container(self, args: dict[str, Any]) -> tuple[Container, bool]:
        """A new container, or the one of that name if it was created from the same arguments."""
        name = args["Name"]
        existing = self._names.get(name)
        if existing is not None:
            if creation.same(existing.record, args):
                return existing, False
            raise Conflict(
                f'container name "/{name}" is already in use by container {existing.record.id[:SHORT_ID]}: '
                "remove or rename that container to be able to reuse the name"
            )
        with self.steps.measure("create"):
            record = creation.new_record(self, args)
            container = self.add_container(record)
            try:
                await self.store.write_container(record)
            except SystemFailure:
                self.forget_container(container, volumes=True)
                raise
        container.tell("create")
        return container, True

    async def rename_container(self, container: Container, name: str) -> None:
        """Give a container another name; its DNS names follow."""
        creation.check_name(name)
        if name in self._names:
            raise Conflict(f'container name "/{name}" is already in use')
        old = container.record.name
        self._names.pop(old, None)
        self._names[name] = container
        container.record.name = name
        await self.store.write_container(container.record)
        self.sandboxes.names_changed(container)
        container.tell("rename", oldName=f"/{old}")

    def forget_container(self, container: Container, *, volumes: bool) -> None:
        """Take a stopped container out of the collection and off the disk."""
        record = container.record
        self.containers.pop(record.id, None)
        if self._names.get(record.name) is container:
            self._names.pop(record.name)
        self.sandboxes.forget(container)
        self.store.discard(self.paths.container(record.id))
        remove_bundle(self, record.id)
        self.images.let_go(record.image)
        for name in record.anonymous_volumes if volumes else ():
            if not self.volume_users(name):
                self.volumes.remove(name)
        self.workers.sweep()

    def read_exit_record(self, record: ContainerRecord) -> dict[str, Any] | None:
        """What the shim noted about the end of the last run; None if it noted nothing. Each start removes the old one."""
        try:
            with open(self.paths.exit_record(record.id), encoding="utf-8") as stream:
                found = json.load(stream)
        except (OSError, ValueError):
            return None
        if not isinstance(found, dict) or "exit_code" not in found:
            return None
        return found

    def monitor_health(self, container: Container) -> HealthMonitor | None:
        """Begin to probe a container that just started, if it has a probe."""
        policy = creation.health_policy(self, container.record)
        return HealthMonitor(self, container, policy) if policy is not None else None

    def exec_process(self, container: Container, body: dict[str, Any]) -> dict[str, Any]:
        """The OCI process of an exec session."""
        return creation.exec_process(self, container.record, body)

    async def run_hook(self, container: Container, args: dict[str, Any]) -> dict[str, Any]:
        """Run a lifecycle hook in a container; its exit code and output."""
        return await run_hook(self, container, args)

    # --- volumes and images --------------------------------------------------------------------------------------

    def volume_users(self, name: str) -> list[Container]:
        """Containers, running or not, that mount the volume."""
        return [
            item
            for item in self.containers.values()
            if any(mount.get("Type") == "volume" and mount.get("Name") == name for mount in item.record.mounts)
        ]

    def create_volume(self, args: dict[str, Any]) -> tuple[str, bool]:
        """Its name, made up if none is given, and whether it was not there yet."""
        asked = args.get("Name") or ""
        created = not self.volumes.exists(asked)
        made = self.volumes.create(
            asked, args.get("Driver") or "local", args.get("DriverOpts") or {}, args.get("Labels") or {}
        )
        name = made["Name"]
        if created:
            self.events.publish("volume", "create", name, name, made["Labels"])
        return name, created

    def remove_volume(self, name: str) -> None:
        """Raises NotFound, or Conflict naming who uses it."""
        users = sorted(item.record.name for item in self.volume_users(name))
        if users and self.volumes.exists(name):
            raise Conflict(f"volume {name} is in use by container {', '.join(users)}")
        labels = self.volumes.inspect(name)["Labels"]
        self.volumes.remove(name)
        self.events.publish("volume", "destroy", name, name, labels)
        self.workers.sweep()

    def list_images(self) -> list[dict[str, Any]]:
        return self.images.list()

    def inspect_image(self, reference: str) -> dict[str, Any]:
        return self.images.inspect(reference)

    def images_changed(self) -> None:
        """A worker wrote to the image store: read it anew."""
        self.images.reload()

    def remove_image(self, reference: str, *, force: bool) -> list[dict[str, str]]:
        """Docker's report of what was untagged and deleted. Raises NotFound, or Conflict where a container is in the way."""
        return self.images.remove(reference, force=force)

    # --- the engine's own life -----------------------------------------------------------------------------------

    def shutdown(self, *, containers: bool, handover: bool, resume: bool = False) -> None:
        """Begin to leave: stop the containers first if asked; the daemon waits for `leaving`.

        `resume`: the machine goes down, nobody stopped them; their policies bring them back with the next engine.
        """
        self.handover = handover
        self._shutting_down = asyncio.get_running_loop().create_task(self._shut_down(containers, resume))

    async def _shut_down(self, containers: bool, resume: bool) -> None:
        if containers:
            active = [item for item in self.containers.values() if item.active]
            results = await asyncio.gather(*(item.stop() for item in active), return_exceptions=True)
            for item, result in zip(active, results, strict=True):
                if isinstance(result, BaseException):
                    log.error("container %s could not be stopped: %s", item.record.name, result)
            for item in active if resume else ():
                item.record.manually_stopped = False
                await self.store.note_container(item.record)
        self.leaving.set()

    async def close(self) -> None:
        """Leave everything as it is on disk and in the kernel; containers go on if there are any."""
        holding = any(item.active for item in self.containers.values())
        for container in list(self.containers.values()):
            if container.run is not None and container.run.link is not None and not self.handover:
                container.run.link.bye()
            await container.close()
        self.names.close()
        if holding or self.handover:
            if self.handover:
                await self.zygote.hand_over()
            self.zygote.leave()
        else:
            await self.ports.close()
            self.networks.close()
            self.ports.leave_forwarding()
            await self.workers.settle()
            await self.zygote.bye()
            self.cgroups.prune(f"{placement.OWN}/{self.id}")

    def _zygote_replaced(self) -> None:
        log.info("zygote %d took over", self.zygote.pid)

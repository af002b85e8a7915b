"""From what lies on disk and what still runs to a working engine: after a start, a kill, an upgrade, a reboot.

For each container that the disk calls running: its shim answers → taken over; else its exit record tells the end;
else nobody saw it. A pid is believed only with its start time and this boot's id. Policies act last, when everything
is known: `always` and not manually stopped `unless-stopped` come back in the order of their dependencies.
"""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING, Any

from runtime.cgroups import placement
from runtime.engine.bundle import remove_strays
from runtime.engine.log import log
from runtime.engine.run import Run
from runtime.errors import EngineError, NotFound, Unavailable
from runtime.linux import pidfd
from runtime.linux.syscalls import KERNEL
from runtime.supervise import restart
from runtime.wire import unixsocket

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine
    from runtime.wire.containers import Dependency

WAS_UP = frozenset({"running", "paused", "restarting"})


async def restore(engine: Engine) -> None:
    """Make memory agree with disk and kernel; after this the engine may answer."""
    for network in engine.store.read_networks():
        engine.networks.add(network)
    records = engine.store.read_containers()
    containers = [engine.add_container(record) for record in records]
    await engine.zygote.connect()
    await engine.zygote.fetch_all()
    await engine.zygote.succeed()
    engine.networks.restore()
    await engine.ports.restore()
    await asyncio.gather(*(_take_up(engine, container) for container in containers))
    await engine.sandboxes.drop_unused()
    remove_strays(engine)
    await engine.ports.settle()
    _delete_stale_cgroups(engine)
    if os.listdir(engine.paths.trash) or os.listdir(f"{engine.paths.images}/tmp"):
        engine.workers.sweep()


def resume(engine: Engine) -> None:
    """Let the policies act on what was found; does not wait."""
    engine.resuming = asyncio.get_running_loop().create_task(_resume(engine))


async def _take_up(engine: Engine, container: Container) -> None:
    record = container.record
    run = await _living_run(engine, container)
    if run is not None:
        try:
            await engine.sandboxes.adopt(container, run)
        except EngineError as error:
            log.error("container %s runs, but its sandbox could not be taken over: %s", record.name, error)
        try:
            await container.adopt(run)
        except EngineError as error:
            log.error("container %s runs but could not be taken over whole: %s", record.name, error)
        return
    if container.run is not None:
        # Its shim lingers after the end of the run and holds the sandbox for the next one.
        try:
            await engine.sandboxes.adopt(container, container.run)
        except EngineError as error:
            log.warning("container %s: its sandbox could not be taken over: %s", record.name, error)
    if record.status not in WAS_UP:
        return
    last = engine.read_exit_record(record)
    if record.status == "restarting":
        record.status = "running"  # its back-off is counted anew from its last exit
        last = last or _remembered_exit(record)
    _end_leftovers(container)
    container.interrupted = record.boot_id != engine.boot_id
    if container.interrupted:
        await _note_interrupted(engine, container, last)
    else:
        await container.note_lost(last)


async def _note_interrupted(engine: Engine, container: Container, last: dict[str, Any] | None) -> None:
    """The machine went down under it: what the policy says of a boot is decided in _resume, when everything is known."""
    record = container.record
    before = (record.restart_count, record.manually_stopped)
    record.manually_stopped = True
    await container.note_lost(last)
    record.restart_count, record.manually_stopped = before
    if last is None:
        record.error = "the machine went down while it ran"
    await engine.store.note_container(record)


async def _living_run(engine: Engine, container: Container) -> Run | None:
    record = container.record
    try:
        sock = unixsocket.connect(engine.paths.shim_socket(record.id), socket.SOCK_SEQPACKET)
    except OSError:
        return None
    run = Run(container)
    try:
        hello = await run.adopt(sock)
    except (Unavailable, TimeoutError, ConnectionError):
        return None
    if hello["status"] == "running":
        record.started_at = hello.get("started_at") or record.started_at
        record.run = int(hello.get("run", record.run))
        return run
    if record.status == "restarting":
        container.run = run  # the lingering shim of the run that ended: it holds the sandbox
        return None
    if record.status in WAS_UP or hello["status"] in {"created", "creating"}:
        container.run = run
        if hello["status"] in {"created", "creating"}:
            run.kill_everything()  # it was never told to go: the start did not happen
    else:
        run.finish()
    return None


def _remembered_exit(record: Any) -> dict[str, Any]:
    return {"exit_code": record.exit_code, "oom": record.oom_killed, "at": record.finished_at}


def _end_leftovers(container: Container) -> None:
    """A pid 1 without a shim: nobody would see its end, so it ends now."""
    record = container.record
    if container.run is not None or not record.pid or record.boot_id != container.engine.boot_id:
        return
    try:
        fd = pidfd.open_checked(KERNEL, record.pid, record.pid_start)
    except NotFound:
        return
    log.warning("container %s: its shim is gone, ending pid %d", record.name, record.pid)
    pidfd.send_signal(KERNEL, fd, 9)
    pidfd.wait_gone(fd, 2)
    os.close(fd)


def _delete_stale_cgroups(engine: Engine) -> None:
    alive = {item.record.id for item in engine.containers.values() if item.run is not None}
    stale = {
        placement.name(engine.id, item.record.id, parent)
        for item in engine.containers.values()
        if item.run is None and (parent := item.record.host_config.get("CgroupParent") or "")
    }
    for mount in dict.fromkeys(engine.cgroups.mounts.values()):
        try:
            names = os.listdir(f"{mount}/{placement.OWN}/{engine.id}")
        except FileNotFoundError:
            continue
        stale.update(placement.name(engine.id, name) for name in names if len(name) == 64 and name not in alive)
    for name in stale:
        manager = engine.cgroups.manager(name)
        try:
            manager.kill_all()
            manager.delete()
        except EngineError as error:
            log.warning("cgroup %s could not be removed: %s", name, error)


async def _resume(engine: Engine) -> None:
    """Start what its policy wants, what it depends on first."""
    wanted = [item for item in engine.containers.values() if _wanted_at_boot(item)]
    started: dict[str, asyncio.Task[None]] = {}
    for container in wanted:
        started[container.record.id] = asyncio.create_task(_start_in_order(engine, container, wanted, started))
    if started:
        await asyncio.gather(*started.values())


def _wanted_at_boot(container: Container) -> bool:
    record = container.record
    if container.active or record.status == "created":
        return False
    return restart.at_boot(
        restart.RestartPolicy.of(record.host_config.get("RestartPolicy")),
        manually_stopped=record.manually_stopped,
        was_running=container.interrupted,
        exit_code=record.exit_code,
        restart_count=record.restart_count,
        booted=record.boot_id != container.engine.boot_id,
    )


async def _start_in_order(
    engine: Engine, container: Container, wanted: list[Container], started: dict[str, asyncio.Task[None]]
) -> None:
    await asyncio.sleep(0)  # let every task be entered in `started` first
    try:
        for dependency in container.record.dependencies:
            await _await_dependency(dependency, container, wanted, started)
        log.info(
            "container %s comes back: %s", container.record.name, container.record.host_config.get("RestartPolicy")
        )
        await container.start()
    except EngineError as error:
        log.error("container %s did not come back: %s", container.record.name, error)


async def _await_dependency(
    dependency: Dependency, dependent: Container, wanted: list[Container], started: dict[str, asyncio.Task[None]]
) -> None:
    for other in wanted:
        labels = other.record.config.get("Labels", {})
        if other is dependent or any(labels.get(key) != value for key, value in dependency["Labels"].items()):
            continue
        await asyncio.wait({started[other.record.id]})
        if dependency["Condition"] == "service_healthy" and other.health is not None:
            try:
                async with asyncio.timeout(HEALTHY_TIMEOUT):
                    while other.health is not None and other.health.status == "starting":
                        await other.changed()
            except TimeoutError:
                log.warning(
                    "container %s is not healthy yet: %s starts anyway", other.record.name, dependent.record.name
                )


HEALTHY_TIMEOUT = 120.0
"""Seconds after which a container starts at boot though what it depends on is not healthy: no command waits here."""

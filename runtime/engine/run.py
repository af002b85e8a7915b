"""One run of a container: from the request to the zygote to the exit, seen from the engine.

Created and started are awaited by the owner's start; the exit comes later, as a message into the owner's inbox. After
its exit the shim lingers, holding the sandbox's descriptors, until `finish`: so a container in back-off outlives both
engine and zygote.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from runtime.cgroups import placement
from runtime.engine import logconfig
from runtime.engine.bundle import build_bundle
from runtime.engine.clock import now_rfc3339
from runtime.engine.firstattach import let_attach
from runtime.engine.log import log
from runtime.engine.shimlink import ShimLink
from runtime.errors import EngineError, NotFound, SystemFailure, Unavailable, from_wire
from runtime.linux import pidfd
from runtime.linux.syscalls import KERNEL
from runtime.shim import launch
from runtime.version import VERSION
from runtime.wire import seqpacket

if TYPE_CHECKING:
    import socket

    from runtime.engine.container import Container

START_TIMEOUT = 60.0
"""Seconds for a container to be created or started; copying an image's content into a new volume may take long."""
ORPHAN_CHECKS, ORPHAN_WAIT = 50, 0.02
"""How often and how long apart (seconds) to look for the exit record of a container whose shim was killed."""


class Run:
    """A shim and the pid 1 it is the parent of."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.link: ShimLink | None = None
        self.init_pid = 0
        self.init_start = 0
        self.started_at = ""
        self.warnings: list[str] = []
        """What it asked for and this kernel does not have."""
        engine = container.engine
        parent = container.record.host_config.get("CgroupParent") or ""
        self.cgroup = engine.cgroups.manager(placement.name(engine.id, container.record.id, parent))
        self._reports: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self.exited: dict[str, Any] | None = None
        """The report of its exit, once there is one."""
        self._finished = False

    async def start(self) -> None:
        """Create and start; raises the EngineError of whatever failed, after which `abandon` cleans up."""
        try:
            await self._start()
        except EngineError:
            raise
        except Exception as error:  # what nobody foresaw leaves a shim and a cgroup behind just the same
            log.exception("container %s", self.container.record.name)
            raise SystemFailure(f"container {self.container.record.name}: {error!r}") from error

    async def _start(self) -> None:
        container, engine = self.container, self.container.engine
        record = container.record
        measure = engine.steps.measure
        with measure("network namespace"):
            hold = await engine.sandboxes.acquire(container)
        with measure("ports"):
            await engine.ports.claim(container)
        with measure("bundle"):
            bundle = await build_bundle(engine, container)
        _forget_exit(engine.paths.exit_record(record.id))
        with measure("shim"):
            await self._begin_shim(bundle, hold)
        # While the child mounts its root file system, its network is wired from here.
        with measure("interfaces"):
            await engine.sandboxes.wire(container)
        with measure("root file system"):
            created = await self._await("created")
        self.init_pid, self.init_start = int(created["pid"]), int(created["start_time"])
        self.warnings = list(created.get("warnings") or ())
        await let_attach(container)
        with measure("program"):
            self._link().go()
            started = await self._await("started")
        self.started_at = started.get("at") or now_rfc3339()

    async def _begin_shim(self, bundle: str, hold: dict[str, int]) -> None:
        """Ask the zygote for a shim; what becomes of the container it makes is reported on its socket."""
        container, engine = self.container, self.container.engine
        record = container.record
        ours, theirs = seqpacket.pair()
        try:
            self._expect("created", "started")
            self._attach(ours)
            answer, _ = await engine.zygote.request(
                "start",
                [theirs.fileno(), *hold.values()],
                id=record.id,
                bundle=bundle,
                log=logconfig.settings(
                    container.record.host_config.get("LogConfig") or {},
                    container.engine.paths.container_log(container.record.id),
                ),
                stdin=bool(record.config.get("OpenStdin")),
                tty=bool(record.config.get("Tty")),
                stdin_once=bool(record.config.get("StdinOnce")) and not record.config.get("Tty"),
                exit_record=engine.paths.exit_record(record.id),
                socket=engine.paths.shim_socket(record.id),
                cgroup=self.cgroup.name,
                hold=list(hold),
            )
        finally:
            theirs.close()
        if self.link is not None:
            self.link.pid = int(answer["shim_pid"])

    @property
    def alive(self) -> bool:
        """Whether its shim is there to tell of its end."""
        return self.link is not None and self.link.alive

    async def adopt(self, sock: socket.socket) -> dict[str, Any]:
        """Take over a shim found running; its hello tells the state of the container. Raises Unavailable."""
        self._attach(sock)
        hello = await self._link().hello()
        if hello["version"] != VERSION:
            engine = self.container.engine
            self._link().guard(dict(launch.engine_command(engine.paths)), engine.zygote.pid)
        self.init_pid, self.init_start = int(hello["init_pid"]), int(hello["start_time"])
        if hello["status"] == "running":
            try:
                self._link().pidfd = pidfd.open_checked(KERNEL, self.init_pid, self.init_start)
            except NotFound:
                pass  # it ended this instant: the report of it is on its way
        return hello

    def signal(self, number: int) -> None:
        """A signal for pid 1, by its pidfd: never for a process that took over its number."""
        link = self._link()
        if link.pidfd >= 0:
            pidfd.send_signal(KERNEL, link.pidfd, number)
        else:
            link.kill(number)

    def kill_everything(self) -> None:
        """SIGKILL to all in its cgroup: with a pid namespace shared with others, pid 1's end ends nobody else."""
        self.cgroup.kill_all()

    async def end_orphan(self) -> dict[str, Any] | None:
        """Its shim was killed: end what that was the parent of; how it exited, if the zygote saw it."""
        self.kill_everything()
        for _ in range(ORPHAN_CHECKS):
            # The zygote reaps the orphan and notes its true exit status.
            found = self.container.engine.read_exit_record(self.container.record)
            if found is not None:
                return found
            await asyncio.sleep(ORPHAN_WAIT)
        return None

    async def abandon(self) -> None:
        """The start failed: end what there is of it."""
        if self.link is not None:
            self.kill_everything()
            self.finish()

    def finish(self) -> None:
        """The run is over and noted: let the shim go."""
        if self._finished:
            return
        self._finished = True
        if self.link is not None:
            try:
                self.link.release()
            except Unavailable:
                pass
            self.link.close()
            self.link = None

    def leave(self) -> None:
        """The engine ends, the run goes on."""
        if self.link is not None:
            self.link.close()

    def _link(self) -> ShimLink:
        if self.link is None:
            raise Unavailable(f"container {self.container.record.name}: its shim is gone")
        return self.link

    def _attach(self, sock: socket.socket) -> None:
        self.link = ShimLink(sock, self._reported, self._lost)

    def _expect(self, *kinds: str) -> None:
        loop = asyncio.get_running_loop()
        for kind in kinds:
            future: asyncio.Future[dict[str, Any]] = loop.create_future()
            # The other one's failure is told by whichever is awaited first.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._reports[kind] = future

    async def _await(self, kind: str) -> dict[str, Any]:
        try:
            return await asyncio.wait_for(self._reports[kind], START_TIMEOUT)
        except TimeoutError:
            raise SystemFailure(
                f"container {self.container.record.name}: not {kind} after {START_TIMEOUT:g} s"
            ) from None

    def _reported(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "exited":
            self.exited = message
            self.container.post(lambda: self.container.run_ended(self, message))
            return
        if kind == "start_failed":
            error = from_wire(message["error"])
            error.fields["exit_code"] = message.get("exit_code", 128)
            error.fields["stage"] = message.get("stage", "")
            error.message = f"container {self.container.record.name}: {error.message}"
            error.args = (error.message,)
            self._fail(error)
            return
        if kind == "error":
            # What nobody waits for: a signal, a release.
            log.warning("container %s: its shim: %s", self.container.record.name, message["error"].get("message"))
            if message.get("request") == "go":
                self._fail(from_wire(message["error"]))
            return
        future = self._reports.get(kind)
        if future is not None and not future.done():
            future.set_result(message)

    def _lost(self) -> None:
        """EOF from the shim: killed, unless it told its exit before."""
        name = self.container.record.name
        self._fail(SystemFailure(f"container {name}: its shim died while it started"))
        if self.exited is None and not self._finished:
            self.container.post(lambda: self.container.shim_lost(self))

    def _fail(self, error: Exception) -> None:
        for future in self._reports.values():
            if not future.done():
                future.set_exception(error)


def _forget_exit(path: str) -> None:
    """The exit record of the run before must not be taken for that of the run to come."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        return

"""One container and its states: what plans and supervision ask of it are messages in one inbox.

So a stop never races a restart: whoever comes second sees what the first one did. Handlers are short; what takes long
(a grace period, a back-off) is a message that comes later.
"""

from __future__ import annotations

import asyncio
import signal as signals
import time
from typing import TYPE_CHECKING, Any

from runtime.engine.clock import now_rfc3339
from runtime.engine.inbox import Inbox
from runtime.engine.log import log
from runtime.engine.run import Run
from runtime.errors import Conflict, EngineError, NotFound
from runtime.linux import signalnames
from runtime.supervise import restart

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from runtime.engine.engine import Engine
    from runtime.engine.firstattach import FirstAttach
    from runtime.engine.health import HealthMonitor
    from runtime.engine.records import ContainerRecord

DEFAULT_GRACE = 10.0
"""Seconds between the stop signal and SIGKILL."""
UNKNOWN_EXIT = 255
"""What Docker reports when nobody saw how a container ended."""
ALIVE = frozenset({"running", "paused"})


class Container:
    """A record, its current run and the inbox of the task that owns both."""

    def __init__(self, engine: Engine, record: ContainerRecord) -> None:
        self.engine = engine
        self.record = record
        self.run: Run | None = None
        self.health: HealthMonitor | None = None
        self.gone = False
        self.interrupted = False
        """The machine went down under its last run."""
        self.run_started = 0.0
        """Monotonic time at which the current run began."""
        self._history = restart.RestartHistory()
        self._changed = asyncio.Event()
        self._exit_waiters: list[asyncio.Future[None]] = []
        self.attaching: list[FirstAttach] = []
        """Clients that want all that the next run writes."""
        self.files = asyncio.Lock()
        """Held while somebody is at the files of the container at rest, and while it is being started."""
        self._keeps_sandbox = False
        """It is stopped only to be started again by the same plan."""
        self._inbox = Inbox(self)

    def __str__(self) -> str:
        return f"container {self.record.name}"

    # --- what others ask of it -----------------------------------------------------------------------------------

    async def start(self) -> bool:
        """Start it; False if it runs already. Raises what kept it from starting."""
        return bool(await self._inbox.ask(self._start_by_hand))

    async def stop(self, signal: int | None = None, grace: float | None = None, *, keep_sandbox: bool = False) -> bool:
        """Ask it to end, and end it after `grace` seconds; returns when it ended. False if it was not running.

        With `keep_sandbox` its network waits for the next start, or for `drop_sandbox`.
        """
        exited = await self._inbox.ask(lambda: self._begin_stop(signal, grace, keep_sandbox))
        if exited is None:
            return False
        await exited
        self.tell("stop")
        return True

    async def drop_sandbox(self) -> None:
        """Give up a sandbox that was kept for a start that did not come."""
        if self._keeps_sandbox:
            await self._inbox.ask(self._drop_sandbox)

    async def kill(self, signal: int) -> None:
        """Send a signal to pid 1; raises Conflict if it is not running."""
        await self._inbox.ask(lambda: self._kill(signal))

    async def pause(self) -> bool:
        return bool(await self._inbox.ask(self._pause))

    async def unpause(self) -> bool:
        return bool(await self._inbox.ask(self._unpause))

    async def remove(self, *, force: bool, volumes: bool) -> None:
        """Remove it and what is its own on the host; raises Conflict if it runs and `force` is not given."""
        while True:
            if self.record.status in ALIVE | {"restarting"}:
                if not force:
                    raise Conflict(f"container {self.record.name} is running: stop it first or remove it with force")
                await self.stop(signals.SIGKILL, DEFAULT_GRACE)
            try:
                await self._inbox.ask(lambda: self._remove(volumes))
            except Conflict:
                # a start that was asked for before came first: that run is to end as well
                if not force or self.record.status not in ALIVE:
                    raise
            else:
                return

    async def adopt(self, run: Run) -> None:
        """Take over a run that an earlier engine began."""
        await self._inbox.ask(lambda: self._adopt(run))

    async def note_lost(self, exit_record: dict[str, Any] | None) -> None:
        """Its shim is gone: the run ended as the exit record says, or nobody knows how."""
        await self._inbox.ask(lambda: self._ended(exit_record))

    async def run_ended(self, run: Run, report: dict[str, Any]) -> None:
        """The exit of `run`, unless a later run has taken its place."""
        if self.run is run:
            await self._ended(report)

    async def shim_lost(self, run: Run) -> None:
        """A shim was killed: so is what it was the parent of, for nobody could see it end any more."""
        if self.run is not run or self.record.status not in ALIVE:
            return
        log.error("container %s: its shim was killed", self.record.name)
        await self._ended(await run.end_orphan())

    def post(self, handler: Callable[[], Awaitable[Any]]) -> None:
        """Put a message into the inbox without waiting for it to be handled."""
        self._inbox.post(handler)

    def notify(self) -> None:
        """Something about the container changed: wake who waits for it."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def changed(self) -> None:
        """Wait until the next change of any kind."""
        await self._changed.wait()

    def tell(self, action: str, **attributes: str) -> None:
        """Publish an event of the container."""
        record = self.record
        self.engine.events.publish(
            "container",
            action,
            record.id,
            record.name,
            {"image": record.config.get("Image", ""), **record.config.get("Labels", {}), **attributes},
        )

    @property
    def running(self) -> bool:
        return self.record.status in ALIVE

    @property
    def active(self) -> bool:
        """Running, or about to be again: the engine is needed."""
        return self.record.status in ALIVE or self.record.status == "restarting"

    def uptime(self) -> float:
        """Seconds since the present run began, or since this engine took it over."""
        return time.monotonic() - self.run_started

    async def close(self) -> None:
        """The engine goes, the container stays."""
        self._inbox.close()
        if self.health is not None:
            self.health.stop()
        if self.run is not None:
            self.run.leave()

    # --- start ---------------------------------------------------------------------------------------------------

    async def _start_by_hand(self) -> bool:
        if self.record.status in ALIVE:
            return False
        self._inbox.cancel_timer()
        self.record.manually_stopped = False
        self.record.restart_count = 0
        self._history = restart.RestartHistory()
        await self._start()
        return True

    async def _start(self) -> None:
        record = self.record
        previous, self.run = self.run, None
        record.run += 1
        record.error = ""
        record.oom_killed = False
        run = Run(self)
        try:
            async with self.files:
                await run.start()
        except EngineError as error:
            await run.abandon()
            record.exit_code = int(error.fields.get("exit_code", 128))
            record.error = error.message
            record.status = "exited" if record.status == "restarting" else record.status
            record.finished_at = now_rfc3339()
            if previous is not None:
                previous.finish()
            await self._release_sandbox()
            await self.engine.store.note_container(record)
            self.notify()
            raise
        if previous is not None:
            previous.finish()
        await self._running(run, run.started_at)

    async def _running(self, run: Run, started_at: str) -> None:
        record = self.record
        self.run = run
        self._keeps_sandbox = False
        self.run_started = time.monotonic()
        record.status = "running"
        record.pid, record.pid_start = run.init_pid, run.init_start
        record.boot_id = self.engine.boot_id
        record.started_at = started_at
        self.health = self.engine.monitor_health(self)
        with self.engine.steps.measure("record and published ports"):
            writing = asyncio.ensure_future(self.engine.store.note_container(record))
            await self.engine.ports.publish(self)
            await writing
        self.tell("start")
        self.notify()

    async def _adopt(self, run: Run) -> None:
        self.run = run
        self.run_started = time.monotonic()
        if self.record.status not in ALIVE:
            self.record.status = "running"
        self.record.pid, self.record.pid_start = run.init_pid, run.init_start
        if run.exited is not None:
            # It ended while it was taken over: that report came before this run was ours.
            await self._ended(run.exited)
            return
        if not run.alive:
            await self.shim_lost(run)
            return
        self.health = self.engine.monitor_health(self)
        await self.engine.ports.publish(self)
        self.notify()

    # --- stop ----------------------------------------------------------------------------------------------------

    async def _begin_stop(
        self, signal: int | None, grace: float | None, keep_sandbox: bool
    ) -> asyncio.Future[None] | None:
        record = self.record
        record.manually_stopped = True
        if self.active:
            self._keeps_sandbox = keep_sandbox
        elif not keep_sandbox:
            await self._drop_sandbox()
        if record.status == "restarting":
            self._inbox.cancel_timer()
            await self._settle("exited")
            return None
        if record.status not in ALIVE or self.run is None:
            return None
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._exit_waiters.append(waiter)
        chosen = signal if signal is not None else self.stop_signal()
        self._send_signal(chosen)
        if record.status == "paused":
            # A frozen process takes no signal but SIGKILL: thaw after the signal is pending, as Docker does.
            self.run.cgroup.thaw()
            record.status = "running"
        seconds = grace if grace is not None else float(record.config.get("StopTimeout", DEFAULT_GRACE))
        if seconds >= 0:
            run = self.run
            self._inbox.post_later(seconds, lambda: self._grace_over(run))
        return waiter

    async def _grace_over(self, run: Run) -> None:
        if self.run is run and self.record.status in ALIVE:
            self._send_signal(signals.SIGKILL)
            run.kill_everything()

    async def _kill(self, signal: int) -> None:
        if self.record.status not in ALIVE or self.run is None:
            raise Conflict(f"container {self.record.name} is not running")
        if signal in {signals.SIGKILL, self.stop_signal()}:
            self.record.manually_stopped = True
        self._send_signal(signal)
        if self.record.status == "paused" and signal == signals.SIGKILL:
            self.run.cgroup.thaw()

    def _send_signal(self, signal: int) -> None:
        if self.run is not None:
            self.run.signal(signal)
            self.tell("kill", signal=str(signal))

    def stop_signal(self) -> int:
        """The configured stop signal's number."""
        return signalnames.number(self.record.config.get("StopSignal") or "SIGTERM")

    async def _pause(self) -> bool:
        if self.record.status == "paused":
            raise Conflict(f"container {self.record.name} is already paused")
        if self.record.status != "running" or self.run is None:
            raise Conflict(f"container {self.record.name} is not running")
        self.run.cgroup.freeze()
        self.record.status = "paused"
        await self._changed_state("pause")
        return True

    async def _unpause(self) -> bool:
        if self.record.status != "paused" or self.run is None:
            raise Conflict(f"container {self.record.name} is not paused")
        self.run.cgroup.thaw()
        self.record.status = "running"
        await self._changed_state("unpause")
        return True

    async def _changed_state(self, action: str) -> None:
        await self.engine.store.note_container(self.record)
        self.tell(action)
        self.notify()

    # --- the end of a run ----------------------------------------------------------------------------------------

    async def _ended(self, report: dict[str, Any] | None) -> None:
        record = self.record
        if record.status not in ALIVE:
            return
        self._inbox.cancel_timer()
        record.exit_code = UNKNOWN_EXIT if report is None else int(report["exit_code"])
        record.oom_killed = bool(report and report.get("oom"))
        record.finished_at = report["at"] if report else now_rfc3339()
        record.error = "" if report else "nobody saw how it ended: its shim was gone"
        record.pid = record.pid_start = 0
        if self.health is not None:
            self.health.stop()
            self.health = None
        self.engine.ports.withdraw(self)
        if record.oom_killed:
            self.tell("oom")
        self.tell("die", exitCode=str(record.exit_code))
        decision = self._decide()
        if isinstance(decision, restart.Restart):
            record.restart_count += 1
            await self._settle("restarting")
            self._inbox.post_later(decision.delay, self._restart)
            return
        await self._settle("exited")
        if record.host_config.get("AutoRemove") and not self.gone:
            await self._remove(volumes=True)

    def _decide(self) -> restart.Restart | restart.Stay:
        record = self.record
        return restart.decide(
            restart.RestartPolicy.of(record.host_config.get("RestartPolicy")),
            self._history,
            restart.ExitInfo(
                exit_code=record.exit_code,
                uptime=self.uptime(),
                restart_count=record.restart_count,
                manually_stopped=record.manually_stopped,
            ),
        )

    async def _restart(self) -> None:
        if self.record.status != "restarting":
            return
        try:
            await self._start()
        except EngineError as error:
            log.warning("container %s could not be restarted: %s", self.record.name, error)
            # A start that fails counts as a run that ended at once, as Docker's does.
            self.record.status = "running"
            self.run_started = time.monotonic()
            await self._ended({"exit_code": self.record.exit_code, "at": now_rfc3339(), "oom": False})
            return
        self.tell("restart")

    async def _settle(self, status: str) -> None:
        """Note the end of a run on disk, then tell who waited for it."""
        record = self.record
        record.status = "restarting" if status == "restarting" else "exited"
        if record.status == "exited":
            try:
                if self._keeps_sandbox:
                    self.engine.names.remove(self)
                else:
                    await self._release_sandbox()
            except Exception:  # whatever is wrong with its network: who waits for the end of the run must hear of it
                log.exception("container %s: its sandbox could not be released", record.name)
            self.finish_run()
        await self.engine.store.note_container(record)
        for waiter in self._exit_waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._exit_waiters.clear()
        self.notify()

    async def _drop_sandbox(self) -> None:
        if self._keeps_sandbox and not self.active:
            await self._release_sandbox()

    async def _release_sandbox(self) -> None:
        self._keeps_sandbox = False
        await self.engine.sandboxes.release(self)

    def finish_run(self) -> None:
        run, self.run = self.run, None
        if run is not None:
            run.finish()

    # --- removal -------------------------------------------------------------------------------------------------

    async def _remove(self, volumes: bool) -> None:
        if self.record.status in ALIVE:
            raise Conflict(f"container {self.record.name} was started meanwhile")
        self._inbox.cancel_timer()
        self.record.status = "removing"
        self.finish_run()
        await self._release_sandbox()
        self.engine.forget_container(self, volumes=volumes)
        self.gone = True
        self._inbox.seal(NotFound(f"no such container: {self.record.name}"))
        self.tell("destroy")
        self.notify()

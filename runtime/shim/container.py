"""One run of one container, from its making to its end: its first process, its cgroup, its stdio, its exit record.

Order is the contract: created, started, exited; the exit record is on disk and the stdio drained before `exited` is said.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Literal

from runtime.errors import Conflict, EngineError
from runtime.linux import pidfd as process
from runtime.linux import signalnames
from runtime.oci import create
from runtime.oci.messages import ENGINE_FAILED, StartError
from runtime.shim import builder, clock, errand, exitrecord
from runtime.shim.containerio import ContainerIO
from runtime.shim.loop import READ, complain
from runtime.wire import frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups.layout import Layout
    from runtime.cgroups.manager import Manager
    from runtime.linux.syscalls import Kernel
    from runtime.shim.connection import Connection
    from runtime.shim.control import Control
    from runtime.shim.loop import Loop

DRAIN_SECONDS = 1.0
"""How long a process outside the container's pid namespace may hold the stdio after the container's end."""


class Container:
    """Says how things go to `control`; `on_leave()` is called when the run is over and the engine has released it."""

    __slots__ = (
        *("_control", "_io", "_kernel", "_layout", "_loop", "_manager", "_on_leave", "_released", "_request"),
        *("built", "outcome", "status"),
    )

    def __init__(
        self,
        kernel: Kernel,
        layout: Layout,
        loop: Loop,
        request: dict[str, Any],
        control: Control,
        on_leave: Callable[[], None],
    ) -> None:
        self._kernel = kernel
        self._layout = layout
        self._loop = loop
        self._request = request
        self._control = control
        self._on_leave = on_leave
        # Made when it is needed, in pages of the shim's own: one that only waits does without.
        self._manager: Manager | None = None
        self._io: ContainerIO | None = None
        self._released = False
        self.built = builder.Built()
        self.status: Literal["creating", "created", "running", "exited", "failed"] = "creating"
        self.outcome: dict[str, Any] | None = None
        """The message of its end, `exited` or `start_failed`; an engine that comes later is told it again."""

    @property
    def cgroup(self) -> Manager:
        if self._manager is None:
            self._manager = self._layout.manager(self._request["cgroup"])
        return self._manager

    def create(self, control: int, held: dict[str, int], make: Callable[..., builder.Made]) -> None:
        """Let `make` make it up to the point before its program runs; `control` is where the builder says so."""
        built = self.built = builder.build(
            self._kernel, self._layout, self._request, control=control, held=held, make=make
        )
        if built.failure is not None:
            self._fail(built.failure)
            return
        self._io = ContainerIO(self._loop, self._request, built.ends)
        self._io.on_signal = self._signal_by_name
        self._loop.watch(built.pidfd, READ, self._init_ended)
        self.status = "created"

    def start(self) -> None:
        """Let its program run; nothing where it runs already, or never will."""
        if self.status != "created":
            return
        errand.collect()
        sync, self.built.sync = self.built.sync, -1
        try:
            create.release(sync)
        except (EngineError, OSError) as error:
            self._fail(error)
            return
        self.status = "running"
        # By hand: the encoder would be used this once by a shim that only waits, for 0.1 MB.
        self._control.send_encoded(b'{"type":"started","at":"%b"}' % clock.now().encode())

    def signal(self, number: int) -> bool:
        """Signal its first process; false when there is none. Raises SyscallError."""
        return self.built.pidfd >= 0 and process.send_signal(self._kernel, self.built.pidfd, number)

    def _signal_by_name(self, name: str) -> None:
        self.signal(signalnames.number(name))

    def kill(self, number: int, *, everything: bool) -> None:
        """Signal its first process or, if asked and there is a cgroup, every process. Raises EngineError, OSError."""
        members = self.cgroup.pids() if everything else []
        for pid in members:
            _kill(pid, number)
        if not members:
            self.signal(number)
        if number == signal.SIGKILL:
            # A frozen process dies when it is thawed.
            self.cgroup.thaw()

    def attach(self, client: Connection, request: dict[str, Any]) -> None:
        """Give a client its stdio, or what became of it. Raises Conflict where it never ran."""
        if self.status == "exited" and self.outcome is not None:
            client.finish(frames.EXIT, {"ExitCode": self.outcome["exit_code"]})
            return
        if self._io is None or self.status == "failed":
            raise self.not_running()
        client.send_json(frames.STARTED, {"Pid": self.built.pid})
        self._io.attach(client, request)

    def release(self) -> None:
        """The engine wants no more of it: what never ran is undone, what runs is left to run to its end."""
        self._released = True
        if self.status == "created":
            self.signal(signal.SIGKILL)
        self._leave_if_released()

    def close(self) -> None:
        """Give up what would end with the process: for a rehearsal, whose process goes on."""
        if self._io is not None:
            self._io.finish(frames.EXIT, {})
        self._close_pidfd()

    def not_running(self) -> Conflict:
        """The error of who wants in."""
        return Conflict(f"container {self._request['id']}: not running")

    def _fail(self, error: Exception) -> None:
        """It never ran: undo, and say so."""
        message = errand.failure(error)
        wire = message["error"]
        self._undo()
        self._remove_cgroup()
        if self._io is not None:
            self._io.finish(frames.ERROR, wire)
        self.status = "failed"
        stage, code = message.get("stage", "create"), message.get("exit_code", ENGINE_FAILED)
        self._conclude({"type": "start_failed", "stage": stage, "exit_code": code, "error": wire})

    def _undo(self) -> None:
        built = self.built
        if built.pidfd >= 0:
            self._loop.unwatch(built.pidfd)
            process.send_signal(self._kernel, built.pidfd, signal.SIGKILL)
            _reap(built.pid)
        self._close_pidfd()
        if built.sync >= 0:
            os.close(built.sync)
            built.sync = -1

    def _init_ended(self, events: int) -> None:
        io = self._io
        if io is None:
            return
        if self.status == "created":
            self._fail(StartError("start", 125, f"container {self._request['id']}: ended before it was started"))
            return
        self._loop.unwatch(self.built.pidfd)
        _, status = os.waitpid(self.built.pid, 0)
        at = clock.now()
        self._kill_rest()

        def drained() -> None:
            # The last stream's end and the time-out race; whichever comes first takes the other's chance.
            timer.cancel()
            io.on_eof = None
            self._record_end(io, status, at)

        timer = self._loop.later(DRAIN_SECONDS, drained)
        io.on_eof = drained
        io.expect_end()

    def _record_end(self, io: ContainerIO, status: int, at: str) -> None:
        self._close_pidfd()
        end = exitrecord.exited(status, oom=self.cgroup.oom_kill_count() > 0, at=at)
        self.status = "exited"
        try:
            exitrecord.write(self._request["exit_record"], end)
        except OSError as error:
            complain(f"exit record {self._request['exit_record']}: {error}")
        io.finish(frames.EXIT, {"ExitCode": end["exit_code"]})
        self._remove_cgroup()
        self._conclude(end)

    def _conclude(self, outcome: dict[str, Any]) -> None:
        self.outcome = outcome
        self._control.send(outcome)
        self._leave_if_released()

    def _leave_if_released(self) -> None:
        if self._released and self.outcome is not None:
            self._on_leave()

    def _close_pidfd(self) -> None:
        if self.built.pidfd >= 0:
            os.close(self.built.pidfd)
            self.built.pidfd = -1

    def _kill_rest(self) -> None:
        """Without a pid namespace of its own a container can leave processes behind, which hold its stdio open."""
        try:
            if self.cgroup.pids():
                self.cgroup.kill_all()
        except EngineError as error:
            complain(f"cgroup {self.cgroup.name}: {error}")

    def _remove_cgroup(self) -> None:
        self._kill_rest()
        try:
            self.cgroup.delete()
        except EngineError as error:
            complain(f"cgroup {self.cgroup.name}: {error}")


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:  # the failed errand's reaping took it
        pass


def _kill(pid: int, number: int) -> None:
    # By number, which the kernel may have given to another by now: a cgroup lists its members in no other way.
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

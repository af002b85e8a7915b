"""Keep one container: true parent of its pid 1 and of all that enters later; lives as long as the engine wants it.

Order is the contract: created, started, exited; the exit record is on disk and the stdio drained before `exited` is said.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.errors import Conflict, EngineError, InvalidParameter, SystemFailure
from runtime.linux import pidfd as process
from runtime.linux import procfs
from runtime.oci import create, execin
from runtime.oci.messages import StartError
from runtime.shim import builder, clock, exitrecord, probe, streams
from runtime.shim.attach import AttachServer
from runtime.shim.containerio import ContainerIO
from runtime.shim.control import Control
from runtime.shim.execsession import ExecSession, signal_number
from runtime.shim.loop import READ, Loop, complain
from runtime.shim.respawn import EngineCommand, HostNamespaces, Respawn
from runtime.version import PROTOCOL, VERSION
from runtime.wire import frames, seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel
    from runtime.shim.connection import Connection

RESPAWN_SECONDS = 0.3
DRAIN_SECONDS = 1.0
"""How long a process outside the container's pid namespace may hold the stdio after the container's end."""


class Shim:
    """One run of one container."""

    __slots__ = (
        "_cgroup",
        "_control",
        "_created",
        "_end",
        "_failure",
        "_held",
        "_init_start",
        "_io",
        "_kernel",
        "_loop",
        "_no_respawn",
        "_own_pidns",
        "_probes",
        "_released",
        "_request",
        "_respawn",
        "_sessions",
        "_status",
    )

    def __init__(
        self,
        kernel: Kernel,
        layout: Layout,
        request: dict[str, Any],
        *,
        control: int,
        held: dict[str, int],
        engine: EngineCommand,
        namespaces: HostNamespaces,
        zygote: int,
    ) -> None:
        self._kernel = kernel
        self._request = request
        self._held = held
        self._own_pidns = namespaces["pid"]
        self._loop = Loop()
        # While the zygote lives it brings the engine back; asked at each attempt, for it may die later.
        self._respawn = Respawn(self._loop, kernel, engine, namespaces, lambda: os.getppid() == zygote)
        self._no_respawn = False
        self._cgroup = layout.manager(request["cgroup"])
        self._created: builder.Built | None = None
        self._init_start = 0
        self._failure: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None
        self._released = False
        self._probes: dict[str, probe.Probe] = {}
        self._sessions: set[ExecSession] = set()
        self._io: ContainerIO | None = None
        self._status = "creating"
        self._control = Control(
            self._loop,
            socket.socket(fileno=control),
            self._message,
            self._engine_lost,
        )

    def run(self) -> None:
        """Until released."""
        try:
            self._create()
        except (EngineError, OSError, KeyError, TypeError, ValueError) as error:
            self._fail(error)
        self._loop.run()

    # the container's life

    def _create(self) -> None:
        request = self._request
        exitrecord.remove(request["exit_record"])
        for key in ("shim_socket", "attach_socket"):
            os.makedirs(os.path.dirname(request[key]), mode=0o700, exist_ok=True)
        self._control.listen(request["shim_socket"])
        AttachServer(self._loop, request["attach_socket"], self._attach, self._exec)
        self._io = ContainerIO(self._loop, request)
        self._io.on_signal = lambda name: self._signal_init(signal_number(name))
        self._created = builder.build(
            self._kernel,
            request,
            stdio=self._io.ends.child,
            console=self._io.ends.console,
            cgroup=self._cgroup,
            held=self._held,
        )
        self._io.begin()
        self._init_start = procfs.start_time(self._created.pid)
        self._loop.watch(self._created.pidfd, READ, self._init_ended)
        self._status = "created"
        message = {"type": "created", "pid": self._created.pid, "start_time": self._init_start}
        if self._created.skipped:
            message["warnings"] = [
                f"{file}: not supported by this kernel, limit dropped" for file in self._created.skipped
            ]
        self._control.send(message, [self._created.pidfd])

    def _go(self, message: dict[str, Any], fds: list[int]) -> None:
        if self._status != "created" or self._created is None:
            return
        try:
            create.release(self._created.sync)
        except (EngineError, OSError) as error:
            self._fail(error)
            return
        self._status = "running"
        self._control.send({"type": "started", "at": clock.now()})

    def _fail(self, error: Exception) -> None:
        """The container never ran: undo, and say so."""
        stage, code, wire = _describe(error)
        created, self._created = self._created, None
        if created is not None:
            self._loop.unwatch(created.pidfd)
            process.send_signal(self._kernel, created.pidfd, signal.SIGKILL)
            _reap(created.pid)
            os.close(created.pidfd)
        self._remove_cgroup()
        if self._io is not None:
            self._io.finish(frames.ERROR, wire)
        self._status = "failed"
        self._failure = {"type": "start_failed", "stage": stage, "exit_code": code, "error": wire}
        self._control.send(self._failure)
        self._leave_if_released()

    def _init_ended(self, events: int) -> None:
        created = self._created
        if created is None or self._io is None:
            return
        if self._status == "created":
            self._fail(StartError("start", 125, f"container {self._request['id']}: ended before it was started"))
            return
        self._loop.unwatch(created.pidfd)
        _, status = os.waitpid(created.pid, 0)
        at = clock.now()
        self._kill_rest()
        timer = self._loop.later(DRAIN_SECONDS, lambda: self._conclude(status, at))

        def drained() -> None:
            timer.cancel()
            self._conclude(status, at)

        self._io.on_eof = drained
        self._io.expect_end()

    def _conclude(self, status: int, at: str) -> None:
        if self._end is not None or self._created is None or self._io is None:
            return
        self._io.on_eof = None
        os.close(self._created.pidfd)
        end = exitrecord.exited(status, oom=self._cgroup.oom_kill_count() > 0, at=at)
        self._end = end
        self._status = "exited"
        self._io.finish(frames.EXIT, {"ExitCode": end["exit_code"]})
        try:
            exitrecord.write(self._request["exit_record"], end)
        except OSError as error:
            complain(f"exit record {self._request['exit_record']}: {error}")
        self._remove_cgroup()
        self._control.send(end)
        self._leave_if_released()

    def _kill_rest(self) -> None:
        """Without a pid namespace of its own a container can leave processes behind, which hold its stdio open."""
        try:
            if self._cgroup.pids():
                self._cgroup.kill_all()
        except EngineError as error:
            complain(f"cgroup {self._cgroup.name}: {error}")

    def _remove_cgroup(self) -> None:
        self._kill_rest()
        try:
            self._cgroup.delete()
        except EngineError as error:
            complain(f"cgroup {self._cgroup.name}: {error}")

    def _leave_if_released(self) -> None:
        if not self._released or self._status not in ("exited", "failed"):
            return
        for key in ("shim_socket", "attach_socket"):
            try:
                os.unlink(self._request[key])
            except OSError:
                pass
        self._loop.stop()

    def _signal_init(self, number: int) -> None:
        if self._created is None or self._status not in ("created", "running"):
            raise Conflict(f"container {self._request['id']}: not running")
        process.send_signal(self._kernel, self._created.pidfd, number)

    # the engine

    def _engine_lost(self) -> None:
        if not self._no_respawn:
            self._respawn.lost(RESPAWN_SECONDS)

    def _message(self, message: dict[str, Any], fds: list[int]) -> None:
        seqpacket.close_all(fds)
        kind = str(message.get("type"))
        handler = _REQUESTS.get(kind)
        try:
            if handler is None:
                raise InvalidParameter(f"shim request {kind}: unknown")
            handler(self, message, fds)
        except EngineError as error:
            self._control.send({"type": "error", "request": kind, "error": error.to_wire()})
        except (KeyError, TypeError, ValueError) as error:
            failure = InvalidParameter(f"{kind}: malformed, {error!r}")
            self._control.send({"type": "error", "request": kind, "error": failure.to_wire()})

    def _hello(self, message: dict[str, Any], fds: list[int]) -> None:
        self._respawn.found()
        self._no_respawn = False
        alive = self._created is not None and self._end is None
        answer = {
            "type": "hello",
            "version": VERSION,
            "protocol": PROTOCOL,
            "id": self._request["id"],
            "pid": os.getpid(),
            "init_pid": self._created.pid if self._created is not None else 0,
            "start_time": self._init_start,
            "status": self._status,
        }
        self._control.send(answer, [self._created.pidfd] if alive and self._created is not None else [])
        for event in (self._failure, self._end):
            if event is not None:
                self._control.send(event)

    def _kill(self, message: dict[str, Any], fds: list[int]) -> None:
        number = int(message["signal"])
        members = self._cgroup.pids() if message.get("all") else []
        for pid in members:
            _kill(pid, number)
        if not members and self._created is not None and self._end is None:
            process.send_signal(self._kernel, self._created.pidfd, number)
        if number == signal.SIGKILL:
            # A frozen process dies when it is thawed.
            self._cgroup.thaw()

    def _pause(self, message: dict[str, Any], fds: list[int]) -> None:
        self._cgroup.freeze()
        self._control.send({"type": "paused"})

    def _unpause(self, message: dict[str, Any], fds: list[int]) -> None:
        self._cgroup.thaw()
        self._control.send({"type": "unpaused"})

    def _fetch(self, message: dict[str, Any], fds: list[int]) -> None:
        self._control.send({"type": "held", "names": list(self._held)}, list(self._held.values()))

    def _release(self, message: dict[str, Any], fds: list[int]) -> None:
        self._released = True
        if self._status == "created" and self._created is not None:
            process.send_signal(self._kernel, self._created.pidfd, signal.SIGKILL)
        self._leave_if_released()

    def _bye(self, message: dict[str, Any], fds: list[int]) -> None:
        self._no_respawn = True
        self._respawn.found()

    # what enters

    def _enter(self, spec: dict[str, Any], ends: streams.Ends) -> tuple[int, int, int]:
        if self._status != "running" or self._created is None:
            raise Conflict(f"container {self._request['id']}: not running")
        # Read when something enters, not kept: most containers run for long and are entered seldom.
        seccomp, user = builder.exec_settings(self._request["bundle"])
        self._cgroup.adopt()
        target = execin.Target(self._created.pidfd, self._own_pidns, seccomp, user=user)
        spec = {**spec, "terminal": ends.console is not None}
        return execin.enter(self._kernel, target, spec, stdio=ends.child, cgroup=self._cgroup, console=ends.console)

    def _probe(self, message: dict[str, Any], fds: list[int]) -> None:
        try:
            started = probe.Probe(
                self._loop,
                self._kernel,
                request=message,
                enter=self._enter,
                candidates=self._cgroup.pids,
                done=self._probed,
            )
        except (EngineError, OSError) as error:
            self._control.send(probe.failed(message, error))
            return
        self._probes[message["id"]] = started

    def _probed(self, done: probe.Probe, result: dict[str, Any]) -> None:
        self._probes.pop(result["id"], None)
        self._control.send(result)

    def _probe_cancel(self, message: dict[str, Any], fds: list[int]) -> None:
        running = self._probes.get(message["id"])
        if running is not None:
            running.cancel()

    def _attach(self, client: Connection, request: dict[str, Any]) -> None:
        if self._end is not None:
            client.finish(frames.EXIT, {"ExitCode": self._end["exit_code"]})
            return
        if self._io is None or self._created is None:
            raise Conflict(f"container {self._request['id']}: not running")
        client.send_json(frames.STARTED, {"Pid": self._created.pid})
        self._io.attach(client, request)

    def _exec(self, client: Connection, request: dict[str, Any]) -> None:
        session = ExecSession(
            self._loop,
            self._kernel,
            client=client,
            request=request,
            enter=self._enter,
            report=self._control.send,
            done=self._sessions.discard,
        )
        self._sessions.add(session)


_REQUESTS: dict[str, Callable[[Shim, dict[str, Any], list[int]], None]] = {
    "hello": Shim._hello,  # noqa: SLF001 - the table of this class
    "go": Shim._go,  # noqa: SLF001
    "kill": Shim._kill,  # noqa: SLF001
    "pause": Shim._pause,  # noqa: SLF001
    "unpause": Shim._unpause,  # noqa: SLF001
    "probe": Shim._probe,  # noqa: SLF001
    "probe_cancel": Shim._probe_cancel,  # noqa: SLF001
    "fetch": Shim._fetch,  # noqa: SLF001
    "release": Shim._release,  # noqa: SLF001
    "bye": Shim._bye,  # noqa: SLF001
}


def main(
    kernel: Kernel,
    layout: Layout,
    request: dict[str, Any],
    *,
    control: int,
    held: dict[str, int],
    engine: EngineCommand,
    namespaces: HostNamespaces,
    zygote: int,
) -> NoReturn:
    """The shim's whole life, in the process that the zygote forked for it."""
    os.setsid()
    kernel.set_name("pycompose-shim")
    Shim(kernel, layout, request, control=control, held=held, engine=engine, namespaces=namespaces, zygote=zygote).run()
    os._exit(0)


def _describe(error: Exception) -> tuple[str, int, dict[str, Any]]:
    """(stage, exit code, wire form) of what made a start fail."""
    if isinstance(error, StartError):
        return error.stage, error.exit_code, error.to_wire()
    if isinstance(error, EngineError):
        return "create", 125, error.to_wire()
    if isinstance(error, OSError):
        where = f" {error.filename}" if error.filename else ""
        return "create", 125, SystemFailure(f"create{where}: {(error.strerror or str(error)).lower()}").to_wire()
    return "create", 125, InvalidParameter(f"start request: malformed, {error!r}").to_wire()


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

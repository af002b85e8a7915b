"""Keep one container: true parent of its pid 1 and of all that enters later; lives as long as the engine wants it.

Order is the contract: created, started, exited; the exit record is on disk and the stdio drained before `exited` is said.
"""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict

from runtime.errors import Conflict, EngineError, InvalidParameter
from runtime.linux import pidfd as process
from runtime.linux import signalnames
from runtime.oci import create
from runtime.oci.messages import ENGINE_FAILED, StartError
from runtime.shim import builder, clock, entering, errand, exitrecord, probe, rendezvous, streams
from runtime.shim.archive import ArchiveSession, enter_running
from runtime.shim.attach import AttachServer
from runtime.shim.containerio import ContainerIO
from runtime.shim.control import Control
from runtime.shim.execsession import ExecSession
from runtime.shim.loop import READ, Loop, complain
from runtime.shim.respawn import EngineCommand, HostNamespaces, Respawn
from runtime.version import PROTOCOL, VERSION
from runtime.wire import frames, seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups.layout import Layout
    from runtime.cgroups.manager import Manager
    from runtime.linux.syscalls import Kernel
    from runtime.shim.connection import Connection

RESPAWN_SECONDS = 0.3
DRAIN_SECONDS = 1.0
"""How long a process outside the container's pid namespace may hold the stdio after the container's end."""

LINGER_SECONDS = 60.0
"""How long an attached client may take nothing before a released shim leaves with what it was still owed."""

PARTING_SECONDS = 2.0
"""How long one may take to close its side after the end of its stream."""

_LINGER_STEP = 0.05


class Surroundings(TypedDict):
    """What is the same for all shims of a zygote."""

    engine: EngineCommand
    namespaces: HostNamespaces
    zygote: int
    """The pid of the one that serves the engine; a retired one stays the parent of its shims."""


class Shim:
    """One run of one container."""

    __slots__ = (
        "_attachments",
        "_built",
        "_control",
        "_end",
        "_failure",
        "_held",
        "_io",
        "_kernel",
        "_layout",
        "_loop",
        "_manager",
        "_no_respawn",
        "_probes",
        "_released",
        "_request",
        "_respawner",
        "_sessions",
        "_status",
        "_surroundings",
    )

    def __init__(
        self,
        kernel: Kernel,
        layout: Layout,
        request: dict[str, Any],
        *,
        control: int,
        held: dict[str, int],
        surroundings: Surroundings,
    ) -> None:
        self._kernel = kernel
        self._layout = layout
        self._request = request
        self._held = held
        self._surroundings = surroundings
        self._loop = Loop()
        # Most shims only wait: what not every one needs is made when it is needed, in pages that are its own.
        self._respawner: Respawn | None = None
        self._manager: Manager | None = None
        self._attachments: AttachServer | None = None
        self._no_respawn = False
        self._built = builder.Built()
        self._failure: dict[str, Any] | None = None
        self._end: dict[str, Any] | None = None
        self._released = False
        self._probes: dict[str, probe.Probe] = {}
        self._sessions: set[ExecSession] = set()
        self._io: ContainerIO | None = None
        self._status = "creating"
        self._control = Control(self._loop, control, self._message, self._engine_lost, self._attach_client)

    def begin(self, control: int, make: Callable[..., builder.Made] = builder.make_container) -> builder.Built:
        """Build the container; `control` is the descriptor of the socket to the engine, `make` a rehearsal's stand-in."""
        built = self._built = builder.build(
            self._kernel, self._layout, self._request, control=control, held=self._held, make=make
        )
        if built.socket >= 0:
            self._control.listen(built.socket)
        if built.failure is not None:
            self._fail(built.failure)
            return built
        self._io = ContainerIO(self._loop, self._request, built.ends)
        self._io.on_signal = self._signal_by_name
        self._loop.watch(built.pidfd, READ, self._init_ended)
        self._status = "created"
        return built

    def step(self) -> None:
        """Handle what there is to handle, or wait for it."""
        self._loop.step(None)

    def run(self) -> None:
        """Until released."""
        self._loop.run()

    def close(self) -> None:
        """Give up what would end with the process: for a rehearsal, whose process goes on."""
        if self._io is not None:
            self._io.finish(frames.EXIT, {})
        self._control.close()
        os.close(self._built.pidfd)
        self._loop.close()

    @property
    def _cgroup(self) -> Manager:
        if self._manager is None:
            self._manager = self._layout.manager(self._request["cgroup"])
        return self._manager

    @property
    def _respawn(self) -> Respawn:
        if self._respawner is None:
            around = self._surroundings
            self._respawner = Respawn(
                self._loop, self._kernel, around["engine"], around["namespaces"], self._leave_engine_to_others
            )
        return self._respawner

    def _leave_engine_to_others(self) -> bool:
        """Asked at each attempt to bring the engine back."""
        if not os.path.isdir(os.path.dirname(self._request["exit_record"])):
            # The container's record is removed: no engine will ever ask for it.
            if self._status != "running":
                self._signal_init(signal.SIGKILL)
                self._loop.stop()
            return True
        # While the zygote lives it does it; it may die later.
        return os.getppid() == self._surroundings["zygote"]

    def _attach_client(self, fd: int) -> None:
        """The stream of a client that wants the stdio, or something to enter."""
        if self._attachments is None:
            self._attachments = AttachServer(self._loop, self._attach, self._exec, self._archive)
        self._attachments.serve(socket.socket(fileno=fd))

    # the container's life

    def _go(self, message: dict[str, Any], fds: list[int]) -> None:
        if self._status != "created":
            return
        errand.collect()
        try:
            create.release(self._built.sync)
        except (EngineError, OSError) as error:
            self._fail(error)
            return
        self._status = "running"
        # By hand: the encoder would be used this once by a shim that only waits, for 0.1 MB.
        self._control.send_encoded(b'{"type":"started","at":"%b"}' % clock.now().encode())

    def _fail(self, error: Exception) -> None:
        """The container never ran: undo, and say so."""
        message = errand.failure(error)
        wire = message["error"]
        built = self._built
        if built.pidfd >= 0:
            self._loop.unwatch(built.pidfd)
            process.send_signal(self._kernel, built.pidfd, signal.SIGKILL)
            _reap(built.pid)
            os.close(built.pidfd)
            built.pidfd = -1
        self._remove_cgroup()
        if self._io is not None:
            self._io.finish(frames.ERROR, wire)
        self._status = "failed"
        stage, code = message.get("stage", "create"), message.get("exit_code", ENGINE_FAILED)
        self._failure = {"type": "start_failed", "stage": stage, "exit_code": code, "error": wire}
        self._control.send(self._failure)
        self._leave_if_released()

    def _init_ended(self, events: int) -> None:
        io = self._io
        if io is None:
            return
        if self._status == "created":
            self._fail(StartError("start", 125, f"container {self._request['id']}: ended before it was started"))
            return
        self._loop.unwatch(self._built.pidfd)
        _, status = os.waitpid(self._built.pid, 0)
        at = clock.now()
        self._kill_rest()
        timer = self._loop.later(DRAIN_SECONDS, lambda: self._conclude(status, at))

        def drained() -> None:
            timer.cancel()
            self._conclude(status, at)

        io.on_eof = drained
        io.expect_end()

    def _conclude(self, status: int, at: str) -> None:
        if self._end is not None or self._io is None:
            return
        self._io.on_eof = None
        os.close(self._built.pidfd)
        self._built.pidfd = -1
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
        rendezvous.remove(self._request["socket"], self._built.mark)
        self._linger(0, LINGER_SECONDS)

    def _linger(self, before: int, left: float) -> None:
        """Attached clients get all of the output, as long as they take any of it; nobody else waits for that."""
        clients = self._attachments
        if clients is None or left <= 0 or not (clients.backlog or clients.parting):
            self._loop.stop()
            return
        backlog = clients.backlog
        if not backlog:
            left = min(left, PARTING_SECONDS)
        left = left - _LINGER_STEP if backlog == before else LINGER_SECONDS
        self._loop.later(_LINGER_STEP, lambda: self._linger(backlog, left))

    def _signal_by_name(self, name: str) -> None:
        number = signalnames.number(name)
        if not self._signal_init(number):
            raise Conflict(f"container {self._request['id']}: not running")

    def _signal_init(self, number: int) -> bool:
        """False when there is no first process to be signalled."""
        if self._built.pidfd < 0:
            return False
        return process.send_signal(self._kernel, self._built.pidfd, number)

    # the engine

    def _engine_lost(self) -> None:
        if not self._no_respawn:
            self._respawn.lost(RESPAWN_SECONDS)

    def _engine_found(self) -> None:
        if self._respawner is not None:
            self._respawner.found()

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
        self._engine_found()
        self._no_respawn = False
        answer = {
            "type": "hello",
            "version": VERSION,
            "protocol": PROTOCOL,
            "id": self._request["id"],
            "pid": os.getpid(),
            "init_pid": self._built.pid,
            "start_time": self._built.start_time,
            "status": self._status,
        }
        self._control.send(answer, [self._built.pidfd] if self._built.pidfd >= 0 else [])
        for event in (self._failure, self._end):
            if event is not None:
                self._control.send(event)

    def _kill(self, message: dict[str, Any], fds: list[int]) -> None:
        number = int(message["signal"])
        members = self._cgroup.pids() if message.get("all") else []
        for pid in members:
            _kill(pid, number)
        if not members:
            self._signal_init(number)
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
        if self._status == "created":
            self._signal_init(signal.SIGKILL)
        self._leave_if_released()

    def _bye(self, message: dict[str, Any], fds: list[int]) -> None:
        self._no_respawn = True
        self._engine_found()

    def _guard(self, message: dict[str, Any], fds: list[int]) -> None:
        """Engine and zygote are of another version than those this shim was born under: these are to come back."""
        self._engine_found()
        self._respawner = None
        engine: EngineCommand = message["engine"]
        self._surroundings = {**self._surroundings, "engine": engine, "zygote": int(message["zygote"])}

    # what enters

    def _enter(self, spec: dict[str, Any], ends: streams.Ends) -> tuple[int, int, int]:
        if self._status != "running":
            raise Conflict(f"container {self._request['id']}: not running")
        return entering.enter(
            self._kernel,
            self._layout,
            self._request,
            init=self._built.pidfd,
            own_pidns=self._surroundings["namespaces"]["pid"],
            process=spec,
            ends=ends,
        )

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
        if self._io is None or self._failure is not None:
            raise Conflict(f"container {self._request['id']}: not running")
        client.send_json(frames.STARTED, {"Pid": self._built.pid})
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

    def _archive(self, client: Connection, request: dict[str, Any]) -> None:
        if self._status not in ("created", "running"):
            raise Conflict(f"container {self._request['id']}: not running")
        ArchiveSession(
            self._loop,
            self._kernel,
            client=client,
            request=request,
            enter=lambda: enter_running(self._kernel, self._built.pid, self._built.pidfd),
            keep={self._built.pidfd},
        )


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
    "guard": Shim._guard,  # noqa: SLF001
}


def main(
    kernel: Kernel,
    layout: Layout,
    request: dict[str, Any],
    *,
    control: int,
    held: dict[str, int],
    surroundings: Surroundings,
) -> NoReturn:
    """The shim's whole life, in the process that the zygote forked for it."""
    os.setsid()
    _name_process(b"pycompose-shim")
    shim = Shim(kernel, layout, request, control=control, held=held, surroundings=surroundings)
    shim.begin(control)
    shim.run()
    os._exit(0)


def _name_process(name: bytes) -> None:
    # As prctl(PR_SET_NAME), which ctypes would do at the price of 60 KB of pages written to.
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name)
    os.close(fd)


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

"""The process that keeps one container: it answers the engine, and lives as long as the engine wants it.

True parent of the container's pid 1 and of all that enters later, so that no exit is missed by anybody's death but its own.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.shim import builder, entering, rendezvous
from runtime.shim.container import Container
from runtime.shim.control import Control
from runtime.shim.enginewatch import EngineWatch
from runtime.shim.loop import Loop
from runtime.shim.sessions import Sessions
from runtime.version import PROTOCOL, VERSION
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel
    from runtime.shim.respawn import Surroundings


class Shim:
    """The engine's requests to one container, and its reports to the engine."""

    __slots__ = (
        *("_container", "_control", "_engine_watch", "_enter", "_held", "_kernel", "_layout", "_loop"),
        *("_request", "_sessions", "_surroundings"),
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
        enter: entering.Enter = entering.enter,
    ) -> None:
        """`control`: descriptor of the socket to the engine; `held`: descriptors kept for the engine, by name.

        `enter` forks what enters the container: a rehearsal brings a stand-in.
        """
        self._kernel = kernel
        self._layout = layout
        self._request = request
        self._held = held
        self._surroundings = surroundings
        self._enter = enter
        self._loop = Loop()
        self._control = Control(self._loop, control, self._message, self._engine_lost, self._serve)
        self._container = Container(kernel, layout, self._loop, request, self._control, self._leave)
        # Most shims only wait: what not every one needs is made when it is needed, in pages that are its own.
        self._engine_watch: EngineWatch | None = None
        self._sessions: Sessions | None = None

    def begin(self, control: int, make: Callable[..., builder.Made] = builder.make_container) -> builder.Built:
        """Build the container; `control` is the descriptor of the socket to the engine, `make` a rehearsal's stand-in."""
        self._container.create(control, self._held, make)
        built = self._container.built
        if built.socket >= 0:
            self._control.listen(built.socket)
        return built

    def step(self) -> None:
        """Handle what there is to handle, or wait for it."""
        self._loop.step(None)

    def run(self) -> None:
        """Until released."""
        self._loop.run()

    def close(self) -> None:
        """Give up what would end with the process: for a rehearsal, whose process goes on."""
        self._container.close()
        self._control.close()
        self._loop.close()

    def _leave(self) -> None:
        rendezvous.remove(self._request["socket"], self._container.built.mark)
        if self._sessions is None:
            self._loop.stop()
        else:
            self._sessions.drain(self._loop.stop)

    def _engine_lost(self) -> None:
        self._engine.lost()

    def _serve(self, fd: int) -> None:
        self._visitors.serve(fd)

    @property
    def _engine(self) -> EngineWatch:
        if self._engine_watch is None:
            self._engine_watch = EngineWatch(
                self._loop, self._kernel, self._surroundings, self._request["exit_record"], self._container.release
            )
        return self._engine_watch

    @property
    def _visitors(self) -> Sessions:
        if self._sessions is None:
            self._sessions = Sessions(
                self._kernel,
                self._layout,
                self._loop,
                self._request,
                self._container,
                self._surroundings["namespaces"]["pid"],
                self._control.send,
                self._enter,
            )
        return self._sessions

    # requests

    def _message(self, message: dict[str, Any], fds: list[int]) -> None:
        seqpacket.close_all(fds)  # no request brings any
        kind = str(message.get("type"))
        handler = _REQUESTS.get(kind)
        failure: EngineError
        try:
            if handler is None:
                raise InvalidParameter(f"shim request {kind}: unknown")
            handler(self, message)
        except EngineError as error:
            failure = error
        except OSError as error:
            failure = SystemFailure(f"{kind}: {(error.strerror or str(error)).lower()}")
        except (KeyError, TypeError, ValueError) as error:
            failure = InvalidParameter(f"{kind}: malformed, {error!r}")
        else:
            return
        self._control.send({"type": "error", "request": kind, "error": failure.to_wire()})

    def _hello(self, message: dict[str, Any]) -> None:
        self._engine.found()
        container = self._container
        built = container.built
        answer = {
            "type": "hello",
            "version": VERSION,
            "protocol": PROTOCOL,
            "id": self._request["id"],
            "pid": os.getpid(),
            "init_pid": built.pid,
            "start_time": built.start_time,
            "status": container.status,
        }
        self._control.send(answer, [built.pidfd] if built.pidfd >= 0 else [])
        if container.outcome is not None:
            self._control.send(container.outcome)

    def _go(self, message: dict[str, Any]) -> None:
        self._container.start()

    def _kill(self, message: dict[str, Any]) -> None:
        self._container.kill(int(message["signal"]), everything=bool(message.get("all")))

    def _probe(self, message: dict[str, Any]) -> None:
        self._visitors.probe(message)

    def _probe_cancel(self, message: dict[str, Any]) -> None:
        self._visitors.cancel_probe(message["id"])

    def _fetch(self, message: dict[str, Any]) -> None:
        self._control.send({"type": "held", "names": list(self._held)}, list(self._held.values()))

    def _release(self, message: dict[str, Any]) -> None:
        self._container.release()

    def _bye(self, message: dict[str, Any]) -> None:
        self._engine.dismiss()

    def _guard(self, message: dict[str, Any]) -> None:
        self._engine.follow(message["engine"], int(message["zygote"]))


_REQUESTS: dict[str, Callable[[Shim, dict[str, Any]], None]] = {
    "hello": Shim._hello,  # noqa: SLF001 - the table of this class
    "go": Shim._go,  # noqa: SLF001
    "kill": Shim._kill,  # noqa: SLF001
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

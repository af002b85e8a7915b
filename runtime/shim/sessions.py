"""What comes to a running container from outside: clients of its stdio, exec, probes, archives."""

from __future__ import annotations

import _socket
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, InvalidParameter
from runtime.shim.archive import ArchiveSession, enter_running
from runtime.shim.attach import AttachServer
from runtime.shim.entering import Visit
from runtime.shim.execsession import ExecSession
from runtime.shim.probe import Probe, failed

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.cgroups.layout import Layout
    from runtime.linux.syscalls import Kernel
    from runtime.shim import entering, streams
    from runtime.shim.connection import Connection
    from runtime.shim.container import Container
    from runtime.shim.loop import Loop


class Sessions:
    """Those of one container; `report(message)` tells the engine of them."""

    __slots__ = (
        *("_clients", "_container", "_enter_by", "_kernel", "_layout", "_loop"),
        *("_own_pidns", "_probes", "_report", "_request"),
    )

    def __init__(
        self,
        kernel: Kernel,
        layout: Layout,
        loop: Loop,
        request: dict[str, Any],
        container: Container,
        own_pidns: int,
        report: Callable[[dict[str, Any]], None],
        enter: entering.Enter,
    ) -> None:
        """`own_pidns`: a descriptor of the shim's own pid namespace, for the way back."""
        self._kernel = kernel
        self._layout = layout
        self._loop = loop
        self._request = request
        self._container = container
        self._own_pidns = own_pidns
        self._report = report
        self._enter_by = enter
        self._probes: dict[str, Probe] = {}
        self._clients = AttachServer(loop, container.attach, self._exec, self._archive)

    def serve(self, fd: int) -> None:
        """Take over the stream of a client that wants the stdio, or something to enter."""
        self._clients.serve(_socket.socket(fileno=fd))

    def drain(self, done: Callable[[], None]) -> None:
        """Call `done` when the clients have taken what they were sent, or take no more of it."""
        self._clients.drain(done)

    def probe(self, request: dict[str, Any]) -> None:
        """Run a probe; whatever becomes of it, its result is reported."""
        try:
            self._probes[request["id"]] = Probe(
                self._loop,
                self._kernel,
                request=request,
                enter=self._enter,
                candidates=self._container.cgroup.pids,
                done=self._probed,
            )
        except (EngineError, OSError) as error:
            self._report(failed(request, error))
        except (KeyError, TypeError, ValueError) as error:
            self._report(failed(request, InvalidParameter(f"probe: malformed, {error!r}")))

    def cancel_probe(self, probe_id: str) -> None:
        """Kill it; its result still comes. One that has ended is fine."""
        running = self._probes.get(probe_id)
        if running is not None:
            running.cancel()

    def _probed(self, result: dict[str, Any]) -> None:
        self._probes.pop(result["id"], None)
        self._report(result)

    def _enter(self, process: dict[str, Any], ends: streams.Ends) -> tuple[int, int, int]:
        container = self._container
        if container.status != "running":
            raise container.not_running()
        visit = Visit(container.built.pidfd, self._own_pidns, process, ends)
        return self._enter_by(self._kernel, self._layout, self._request, visit)

    def _exec(self, client: Connection, request: dict[str, Any]) -> None:
        ExecSession(self._loop, self._kernel, client=client, request=request, enter=self._enter)

    def _archive(self, client: Connection, request: dict[str, Any]) -> None:
        container = self._container
        if container.status not in ("created", "running"):
            raise container.not_running()
        built = container.built
        ArchiveSession(
            self._loop,
            self._kernel,
            client=client,
            request=request,
            enter=lambda: enter_running(self._kernel, built.pid, built.pidfd),
            keep={built.pidfd},
        )

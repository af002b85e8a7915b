"""Run the containers of one build: a small process that forks each of them and reports its end.

    build -> executor   run {id, spec, cgroup} + fds [output, network namespace or none] | kill {id} | forget {cgroup}
    executor -> build   started {id} | failed {id, error, exit_code} | exited {id, code, signal, oom}

Only a single-threaded process may fork, and what enters a container must run from a sealed copy of the interpreter: so
the builder, which has threads, starts this one once and sends it its RUNs. It ends, and every container with it, when
the builder's end of the socket closes.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

from runtime.cgroups import layout as cgroup_layout
from runtime.errors import EngineError, SystemFailure
from runtime.linux.syscalls import KERNEL
from runtime.oci import create as creation
from runtime.oci.messages import ENGINE_FAILED, StartError
from runtime.wire import seqpacket

if TYPE_CHECKING:
    from runtime.cgroups.manager import Manager

SOCKET_FD = 3
"""Where the builder's socket is handed over."""
PROGRAM = "import sys; sys.path.append(sys.argv[1]); from runtime.build.executor import main; sys.exit(main())"


class _Running:
    __slots__ = ("cgroup", "id", "oom", "pid", "pidfd")

    def __init__(self, identifier: str, pid: int, pidfd: int, cgroup: Manager, oom: int) -> None:
        self.id = identifier
        self.pid = pid
        self.pidfd = pidfd
        self.cgroup = cgroup
        self.oom = oom


class Executor:
    """The containers that run now, by their pidfd."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._layout = cgroup_layout.detect()
        self._cgroups: dict[str, Manager] = {}
        self._running: dict[int, _Running] = {}
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def serve(self) -> None:
        """Until the builder is gone."""
        try:
            while True:
                for fd, _ in self._poll.poll():
                    if fd in self._running:
                        self._ended(self._running.pop(fd))
                    else:
                        message, fds = seqpacket.recv(self._socket)
                        try:
                            self._handle(message, fds)
                        finally:
                            seqpacket.close_all(fds)
        except (EOFError, ConnectionError):
            return
        finally:
            self._close()

    def _handle(self, message: dict[str, Any], fds: list[int]) -> None:
        if message["type"] == "kill":
            for running in self._running.values():
                if running.id == message["id"]:
                    KERNEL.pidfd_send_signal(running.pidfd, signal.SIGKILL)
            return
        identifier = str(message["id"])
        try:
            self._run(identifier, message, fds)
        except StartError as error:
            self._say("failed", identifier, error=error.to_wire(), exit_code=error.exit_code)
        except EngineError as error:
            self._say("failed", identifier, error=error.to_wire(), exit_code=ENGINE_FAILED)
        except OSError as error:
            failure = SystemFailure(f"{error.filename or 'build container'}: {(error.strerror or str(error)).lower()}")
            self._say("failed", identifier, error=failure.to_wire(), exit_code=ENGINE_FAILED)

    def _run(self, identifier: str, message: dict[str, Any], fds: list[int]) -> None:
        spec = message["spec"]
        output = fds[0]
        if len(fds) > 1:
            for namespace in spec["linux"]["namespaces"]:
                if namespace["type"] == "network":
                    namespace["path"] = f"/proc/self/fd/{fds[1]}"
        cgroup = self._cgroup(str(message["cgroup"]), spec["linux"].get("resources") or {})
        oom = cgroup.oom_kill_count()
        created = creation.create(
            KERNEL, spec, bundle="/", container=identifier, stdio=(None, output, output), cgroup=cgroup
        )
        try:
            creation.start(created)
        except BaseException:
            os.waitpid(created.pid, 0)
            os.close(created.pidfd)
            raise
        self._running[created.pidfd] = _Running(identifier, created.pid, created.pidfd, cgroup, oom)
        self._poll.register(created.pidfd, select.POLLIN)
        self._say("started", identifier)

    def _cgroup(self, name: str, resources: dict[str, Any]) -> Manager:
        """The cgroup `name`, made once: removing and making one anew costs more than running a small command in it."""
        found = self._cgroups.get(name)
        if found is None:
            found = self._layout.manager(name)
            found.create(resources)
            self._cgroups[name] = found
        return found

    def _ended(self, running: _Running) -> None:
        self._poll.unregister(running.pidfd)
        _, status = os.waitpid(running.pid, 0)
        os.close(running.pidfd)
        code = os.waitstatus_to_exitcode(status)
        oom = running.cgroup.oom_kill_count() > running.oom
        self._say("exited", running.id, code=128 - code if code < 0 else code, signal=max(-code, 0), oom=oom)

    def _say(self, kind: str, identifier: str, **fields: Any) -> None:
        seqpacket.send(self._socket, {"type": kind, "id": identifier, **fields})

    def _close(self) -> None:
        for running in self._running.values():
            try:
                KERNEL.pidfd_send_signal(running.pidfd, signal.SIGKILL)
                os.waitpid(running.pid, 0)
            except (EngineError, ChildProcessError):
                continue
        for cgroup in self._cgroups.values():
            try:
                cgroup.kill_all()
                cgroup.delete()
            except EngineError:
                continue
        for name in {os.path.dirname(name) for name in self._cgroups}:
            self._layout.prune(name)


def main() -> int:
    """The program of the process; the socket is descriptor 3."""
    os.umask(0o022)
    with socket.socket(fileno=SOCKET_FD) as sock:
        sock.set_inheritable(False)
        Executor(sock).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main())

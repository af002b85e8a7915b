"""The process all shims are forked from: small, single-threaded, everything imported before the first request.

Everything imported here is shared memory of every shim; nothing may be imported after the first fork. The mount
namespace is the zygote's own, so that what it mounts is invisible on the host and gone with its last process.

An engine of another version replaces it: hello, keys, fetch and retire are what every version must go on to understand.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
from typing import TYPE_CHECKING, Any

from runtime.cgroups import layout as cgroup_layout
from runtime.errors import EngineError, InvalidParameter, SystemFailure
from runtime.images import hostlayer
from runtime.linux.syscalls import KERNEL
from runtime.network import sandbox
from runtime.shim import atrest, orphans, rehearsal, shim, standing
from runtime.shim.fdstore import FdStore
from runtime.shim.loop import READ, Loop, complain
from runtime.shim.respawn import Respawn
from runtime.version import PROTOCOL, VERSION
from runtime.wire import seqpacket, unixsocket

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.linux.syscalls import Kernel
    from runtime.shim.respawn import Surroundings

RESPAWN_SECONDS = 0.05
"""The zygote is first to notice a dead engine; shims wait longer and stand back while their zygote lives."""
HANDOVER_SECONDS = 10.0
"""How long an engine that announced its successor is not missed."""

Answer = tuple[dict[str, Any], list[int]]


class Zygote:
    """Serves the engine: descriptors, sandboxes, shims."""

    __slots__ = (
        "_bundles",
        "_bye",
        "_config",
        "_hard_files",
        "_host_layer",
        "_kernel",
        "_layout",
        "_loop",
        "_namespaces",
        "_orphans",
        "_patience",
        "_peers",
        "_rehearsal",
        "_respawn",
        "_retired",
        "_server",
        "_shims",
        "_soft_files",
        "_store",
        "_surroundings",
        "_wakeup",
    )

    def __init__(self, kernel: Kernel, config: dict[str, Any], first: socket.socket) -> None:
        self._kernel = kernel
        self._config = config
        self._namespaces = standing.leave_host(kernel)
        self._bundles = standing.mount_bundles(kernel, f"{config['run']}/bundles")
        self._surroundings: Surroundings = {
            "engine": config["engine"],
            "namespaces": self._namespaces,
            "zygote": os.getpid(),
        }
        self._loop = Loop()
        self._layout = cgroup_layout.detect()
        self._respawn = Respawn(self._loop, kernel, config["engine"], self._namespaces, self._leave_if_abandoned)
        self._soft_files, self._hard_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (self._hard_files, self._hard_files))
        self._store = FdStore()
        self._peers: dict[int, socket.socket] = {}
        self._shims: dict[int, orphans.Lost] = {}
        self._orphans: dict[int, orphans.Lost] = {}
        self._host_layer: str | None = None
        self._bye = False
        self._retired = False
        self._patience = RESPAWN_SECONDS
        directory = f"{config['run']}/bundles/rehearsal"
        self._rehearsal: Iterator[None] | None = rehearsal.rounds(kernel, self._layout, directory, self._surroundings)
        self._server = unixsocket.listen(config["socket"], socket.SOCK_SEQPACKET)
        self._loop.watch(self._server.fileno(), READ, self._accept)
        self._wakeup = _watch_children(self._loop, self._reap)
        self._adopt(first)

    def run(self) -> None:
        self._loop.run()

    def _accept(self, events: int) -> None:
        sock, _ = self._server.accept()
        self._adopt(sock)

    def _adopt(self, sock: socket.socket) -> None:
        fd = sock.fileno()
        self._peers[fd] = sock
        self._loop.watch(fd, READ, lambda _: self._receive(sock))

    def _receive(self, sock: socket.socket) -> None:
        try:
            message, fds = seqpacket.recv(sock)
        except (EOFError, OSError, ValueError) as error:
            self._lose(sock, error)
            return
        try:
            answer, out = self._answer(message, fds)
        except EngineError as error:
            answer, out = {"error": error.to_wire()}, []
        except OSError as error:
            text = f"{message.get('type')}: {(error.strerror or str(error)).lower()}"
            answer, out = {"error": SystemFailure(text).to_wire()}, []
        except (KeyError, TypeError, ValueError) as error:
            answer, out = {"error": InvalidParameter(f"{message.get('type')}: malformed, {error!r}").to_wire()}, []
        finally:
            seqpacket.close_all(fds)
        try:
            seqpacket.send(sock, answer, out)
        except OSError as error:
            self._lose(sock, error)
        finally:
            if message.get("type") == "sandbox":
                seqpacket.close_all(out)

    def _answer(self, message: dict[str, Any], fds: list[int]) -> Answer:
        handler = _REQUESTS.get(str(message.get("type")))
        if handler is None:
            raise InvalidParameter(f"zygote request {message.get('type')}: unknown")
        answer, out = handler(self, message, fds)
        return {"ok": True, **answer}, out

    def _lose(self, sock: socket.socket, error: Exception) -> None:
        if not isinstance(error, EOFError):
            complain(f"zygote peer: {error}")
        self._loop.unwatch(sock.fileno())
        del self._peers[sock.fileno()]
        sock.close()
        if not self._peers and not self._bye:
            self._respawn.lost(self._patience)
        self._leave_if_done()

    def _leave_if_done(self) -> None:
        if self._bye and not self._shims and not self._orphans and not self._peers:
            if not self._retired:
                self._remove_socket()
            self._loop.stop()

    def _remove_socket(self) -> None:
        try:
            os.unlink(self._config["socket"])
        except OSError:
            pass

    def _leave_if_abandoned(self) -> bool:
        """Asked at each attempt to bring the engine back: without its directory there is none to come."""
        if self._shims or self._orphans or os.path.isdir(self._config["run"]):
            return False
        self._loop.stop()
        return True

    # requests

    def _hello(self, message: dict[str, Any], fds: list[int]) -> Answer:
        # After the answer: the engine goes on with its own start meanwhile.
        self._loop.later(0, self._rehearse)
        self._bye = self._retired
        self._patience = RESPAWN_SECONDS
        self._respawn.found()
        return {"version": VERSION, "protocol": PROTOCOL, "pid": os.getpid()}, []

    def _rehearse(self) -> None:
        """Warm what shims run, while it is still shared: a round between one request and the next."""
        for _ in self._rehearsal or ():
            self._loop.later(0, self._rehearse)
            return
        self._rehearse_rest()

    def _rehearse_rest(self) -> None:
        """All rounds that are left: none may come after the first shim's fork."""
        if self._rehearsal is not None:
            for _ in self._rehearsal:
                pass
            self._rehearsal = None
            _settle()

    def _share_bundles(self, message: dict[str, Any], fds: list[int]) -> Answer:
        """The engine writes there by descriptor: in its own mount namespace there is no such mount."""
        return {}, [self._bundles]

    def _put(self, message: dict[str, Any], fds: list[int]) -> Answer:
        self._store.store(message["key"], fds)
        fds.clear()
        return {}, []

    def _fetch(self, message: dict[str, Any], fds: list[int]) -> Answer:
        return {}, self._store.fetch(message["key"])

    def _drop(self, message: dict[str, Any], fds: list[int]) -> Answer:
        for key in message["keys"]:
            self._store.drop(key)
        return {}, []

    def _keys(self, message: dict[str, Any], fds: list[int]) -> Answer:
        return {"keys": self._store.keys()}, []

    def _sandbox(self, message: dict[str, Any], fds: list[int]) -> Answer:
        """A new sandbox, or what is missing of the one whose namespace is given; `keys` is where its parts are stored."""
        made = sandbox.make(self._kernel, dns=bool(message.get("dns")), netns_fd=fds[0] if fds else None)
        out = [os.dup(fd) for fd in made.fds()]
        made.close()
        for key, fd in zip(message.get("keys") or (), out, strict=False):
            self._store.store(key, [os.dup(fd)])
        return {"udp_port": made.udp_port, "tcp_port": made.tcp_port}, out

    def _clear(self, message: dict[str, Any], fds: list[int]) -> Answer:
        """Destroy the orphaned sockets in the sandbox whose namespace is given: how many are left."""
        if len(fds) != 1:
            raise InvalidParameter(f"clear: {len(fds)} descriptors, expected 1")
        return {"left": sandbox.clear(self._kernel, fds[0])}, []

    def _host(self, message: dict[str, Any], fds: list[int]) -> Answer:
        if self._host_layer is None:
            self._host_layer = hostlayer.mount(self._kernel, f"{self._config['run']}/host")
        return {"lowerdir": self._host_layer}, []

    def _start(self, message: dict[str, Any], fds: list[int]) -> Answer:
        hold = list(message.get("hold") or ())
        if len(fds) != 1 + len(hold):
            raise InvalidParameter(f"start: {len(fds)} descriptors, expected {1 + len(hold)}")
        self._rehearse_rest()
        pid = os.fork()
        if pid == 0:
            self._become_shim(message, fds, hold)
        self._shims[pid] = {
            "id": message["id"],
            "bundle": message["bundle"],
            "cgroup": message["cgroup"],
            "exit_record": message["exit_record"],
        }
        return {"shim_pid": pid}, []

    def _archive(self, message: dict[str, Any], fds: list[int]) -> Answer:
        """The files of a container that does not run, for the client behind the descriptor."""
        if len(fds) != 1:
            raise InvalidParameter(f"archive: {len(fds)} descriptors, expected 1")
        if os.fork() == 0:
            try:
                signal.set_wakeup_fd(-1)
                standing.close_all_but({0, 1, 2, fds[0]})
                atrest.main(self._kernel, message, fds[0])
            except BaseException as error:  # nothing may return into the zygote's loop
                complain(f"archive: {type(error).__name__}: {error}")
            finally:
                os._exit(1)
        return {}, []

    def _become_shim(self, message: dict[str, Any], fds: list[int], hold: list[str]) -> None:
        """In the child; never returns."""
        try:
            # The handler that does nothing stays: to reset it costs more pages than it does.
            signal.set_wakeup_fd(-1)
            standing.close_all_but({0, 1, 2, *fds, self._namespaces["pid"], self._namespaces["mnt"]})
            # A container's default limit is the machine's, not what the fd store needs.
            resource.setrlimit(resource.RLIMIT_NOFILE, (self._soft_files, self._hard_files))
            shim.main(
                self._kernel,
                self._layout,
                message,
                control=fds[0],
                held=dict(zip(hold, fds[1:], strict=True)),
                surroundings=self._surroundings,
            )
        except BaseException as error:  # nothing may return into the zygote's loop
            complain(f"shim {message.get('id')}: {type(error).__name__}: {error}")
            os._exit(1)
        os._exit(0)

    def _farewell(self, message: dict[str, Any], fds: list[int]) -> Answer:
        self._bye = True
        self._respawn.found()
        return {}, []

    def _hand_over(self, message: dict[str, Any], fds: list[int]) -> Answer:
        """Another engine is on its way: to bring this one back would keep it out."""
        self._patience = HANDOVER_SECONDS
        return {}, []

    def _retire(self, message: dict[str, Any], fds: list[int]) -> Answer:
        """Another zygote takes the place: only the parent of the shims stays, until the last of them is gone."""
        if not self._retired:
            self._bye = self._retired = True
            self._loop.unwatch(self._server.fileno())
            self._server.close()
            self._remove_socket()
            self._store.clear()
        return {}, []

    # children

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            lost = self._shims.pop(pid, None)
            if lost is not None and status != 0:
                init = orphans.kill(self._layout, lost)
                if init is not None:
                    self._orphans[init] = lost
            elif pid in self._orphans:
                orphans.record(self._layout, self._orphans.pop(pid), status)
        self._leave_if_done()


_REQUESTS: dict[str, Callable[[Zygote, dict[str, Any], list[int]], Answer]] = {
    "hello": Zygote._hello,  # noqa: SLF001 - the table of this class
    "bundles": Zygote._share_bundles,  # noqa: SLF001
    "store": Zygote._put,  # noqa: SLF001
    "fetch": Zygote._fetch,  # noqa: SLF001
    "drop": Zygote._drop,  # noqa: SLF001
    "keys": Zygote._keys,  # noqa: SLF001
    "sandbox": Zygote._sandbox,  # noqa: SLF001
    "clear": Zygote._clear,  # noqa: SLF001
    "host_layer": Zygote._host,  # noqa: SLF001
    "start": Zygote._start,  # noqa: SLF001
    "archive": Zygote._archive,  # noqa: SLF001
    "bye": Zygote._farewell,  # noqa: SLF001
    "handover": Zygote._hand_over,  # noqa: SLF001
    "retire": Zygote._retire,  # noqa: SLF001
}


def main(socket_fd: int) -> None:
    """The zygote's whole life; `socket_fd` is the first engine's connection, its first message the configuration."""
    standing.detach(KERNEL, socket_fd)
    first = socket.socket(fileno=socket_fd)
    first.set_inheritable(False)
    config, _ = seqpacket.recv(first)
    zygote = Zygote(KERNEL, config, first)
    del config
    # Nothing here makes cycles that matter, and a collection writes to every page with an object it looks at.
    gc.disable()
    _settle()
    zygote.run()


def _settle() -> None:
    """Leave nothing for a collection to look at."""
    gc.collect()
    gc.freeze()


def _watch_children(loop: Loop, reap: Callable[[], None]) -> tuple[socket.socket, socket.socket]:
    """Call `reap` after SIGCHLD: the handler itself does nothing, its byte wakes the loop."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)

    def woken(events: int) -> None:
        ours.recv(4096)
        reap()

    loop.watch(ours.fileno(), READ, woken)
    signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return ours, theirs

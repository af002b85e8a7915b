"""Serve command lines: everything imported once, one fork a command.

    python -m compose.cli.warm RUN [IDLE_SECONDS]

Single-threaded, so that a fork is safe. A child is a session of its own with the caller's streams, directory,
environment and umask, and runs the same `main` as a cold command. The server leaves when nobody came for a minute,
when the engine is gone, or when a source file changed under it.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from compose.cli.warm import wire
from compose.cli.warm.front import PACKAGE
from runtime.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

IDLE_SECONDS = 60.0
"""How long nobody may come: the process costs memory, and a person who works comes back sooner."""
LOOK_SECONDS = 1.0
"""How often an idle server looks whether the engine is still there."""
READ_TIMEOUT = 2.0
KILL_AFTER = 10.0
"""Seconds that a command has for its own clean-up when its front is gone."""
PRELOADED = ("compose", "runtime.client", "schemas")
LIBRARIES = ("yaml", "yaml.cyaml", "jsonschema", "typer", "typer._click.decorators")
"""What commands import on their way."""
LEFT_OUT = (
    "compose.testing",
    "compose.watch",
    "compose.cli.warm.server",
    "compose.cli.warm.__main__",
)
RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGWINCH, signal.SIGPIPE)
"""Signals whose handling a command begins with as a fresh process does."""
CREDENTIALS = struct.Struct("3i")


class Session:
    """One command under way."""

    __slots__ = ("connection", "ending", "pid", "pidfd")

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self.connection = connection
        self.pid = pid
        self.pidfd = os.pidfd_open(pid)
        self.ending = 0.0
        """Monotonic time at which it is killed, 0 while its front is there."""


class Server:
    """Accepts fronts and minds their commands."""

    def __init__(self, run: str, idle: float) -> None:
        self._engine_socket = f"{run}/engine.sock"
        self._path = wire.socket_path(run, os.geteuid())
        self._idle = idle
        self._sources = {path: _modified(path) for path in _sources()}
        self._sessions: dict[int, Session] = {}
        self._listener = _listen(self._path)
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._busy_until = time.monotonic()

    def serve(self) -> None:
        """Until nobody needs it any more."""
        try:
            while self._wanted():
                for fd, _ in self._poll.poll(LOOK_SECONDS * 1000):
                    self._handle(fd)
                self._end_overdue()
        finally:
            self._listener.close()
            try:
                os.unlink(self._path)
            except FileNotFoundError:
                pass

    def _wanted(self) -> bool:
        if self._sessions:
            self._busy_until = time.monotonic()
            return True
        return os.path.exists(self._engine_socket) and time.monotonic() - self._busy_until < self._idle

    def _handle(self, fd: int) -> None:
        if fd == self._listener.fileno():
            self._accept()
            return
        session = self._sessions.get(fd)
        if session is None:
            return
        if fd == session.pidfd:
            self._ended(session)
        else:
            self._hear(session)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._busy_until = time.monotonic()
        connection.settimeout(READ_TIMEOUT)
        fds: list[int] = []
        try:
            said = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
            front, uid, _ = CREDENTIALS.unpack(said)
            if uid != os.geteuid():
                raise ValueError("another user")
            fields, fds = _receive(connection)
            if self._is_stale(fields):
                connection.sendall(wire.STALE)
                self._idle = 0.0
                raise ValueError("stale")
            # what is passed on before the child has handlers of its own waits for them
            signal.pthread_sigmask(signal.SIG_BLOCK, RESET)
            try:
                pid = os.fork()
                if pid == 0:
                    _become(fields, fds, front)
            finally:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, RESET)
            session = Session(connection, pid)
            with contextlib.suppress(OSError):  # a front that is gone already is heard, and its command ended
                connection.sendall(wire.ACCEPTED)
        except (OSError, ValueError):
            connection.close()
            return
        finally:
            for fd in fds:
                os.close(fd)
        for fd in (connection.fileno(), session.pidfd):
            self._sessions[fd] = session
            self._poll.register(fd, select.POLLIN)

    def _is_stale(self, fields: list[bytes]) -> bool:
        """Another version, another place, or a source file that changed since it was imported."""
        asked = (fields[0].decode(), os.fsdecode(fields[1]), os.fsdecode(fields[2]))
        if asked != (VERSION, PACKAGE, sys.executable):
            return True
        return any(_modified(path) != modified for path, modified in self._sources.items())

    def _hear(self, session: Session) -> None:
        try:
            said = session.connection.recv(2)
        except OSError:
            said = b""
        if len(said) == 2 and said[:1] == wire.SIGNAL:
            _signal_group(session.pid, said[1])
            return
        self._poll.unregister(session.connection.fileno())
        del self._sessions[session.connection.fileno()]
        # The front is gone: what it started ends as if its terminal had gone.
        session.ending = time.monotonic() + KILL_AFTER
        _signal_group(session.pid, signal.SIGCONT)
        _signal_group(session.pid, signal.SIGTERM)

    def _end_overdue(self) -> None:
        for session in set(self._sessions.values()):
            if session.ending and time.monotonic() > session.ending:
                _signal_group(session.pid, signal.SIGKILL)

    def _ended(self, session: Session) -> None:
        _, status = os.waitpid(session.pid, 0)
        for fd in (session.connection.fileno(), session.pidfd):
            if self._sessions.pop(fd, None) is not None:
                self._poll.unregister(fd)
        os.close(session.pidfd)
        if os.WIFSIGNALED(status):
            answer = wire.KILLED + bytes([os.WTERMSIG(status)])
        else:
            answer = wire.EXITED + bytes([os.WEXITSTATUS(status)])
        try:
            session.connection.sendall(answer)
        except OSError:
            pass
        session.connection.close()


def preload() -> None:
    """Import what commands import, so that their forks find it there."""
    os.environ["TYPER_USE_RICH"] = "0"  # read by typer when it is imported
    for name in PRELOADED:
        package = importlib.import_module(name)
        for found in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not found.name.startswith(LEFT_OUT):
                importlib.import_module(found.name)
    from compose.cli import app
    from compose.loader import cache
    from compose.loader.validate import validator

    app.prepare()
    cache.program()
    for name in LIBRARIES:
        importlib.import_module(name)
    validator("compose-spec")


def main(run: str, idle: float) -> int:
    """The server's whole life; 0 also when another one serves already."""
    os.chdir("/")
    lock = os.open(f"{wire.socket_path(run, os.geteuid())}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    preload()
    server = Server(run, idle)
    gc.collect()
    gc.freeze()
    server.serve()
    return 0


def _sources() -> Iterator[str]:
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in {"compose", "runtime", "schemas"} and getattr(module, "__file__", None):
            yield str(module.__file__)


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return -1.0


def _listen(path: str) -> socket.socket:
    """The listening socket; the caller holds the lock, so whatever is at `path` is nobody's."""
    directory = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    name = f"/proc/self/fd/{directory}/{os.path.basename(path)}"  # sun_path holds 108 bytes
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
        listener.bind(name)
    finally:
        os.umask(before)
        os.close(directory)
    listener.listen(64)
    return listener


def _receive(connection: socket.socket) -> tuple[list[bytes], list[int]]:
    """The request's fields and its descriptors. Raises ValueError, OSError."""
    data, fds, _, _ = socket.recv_fds(connection, 1 << 16, wire.DESCRIPTORS)
    try:
        if len(fds) != wire.DESCRIPTORS:
            raise ValueError("descriptors are missing")
        size = int.from_bytes(data[:4], "big")
        if size > wire.MAX_REQUEST:
            raise ValueError("request is too long")
        body = bytearray(data[4:])
        while len(body) < size:
            part = connection.recv(min(1 << 20, size - len(body)))
            if not part:
                raise ValueError("request is short")
            body += part
        return wire.decode(bytes(body)), fds
    except (ValueError, OSError):
        for fd in fds:
            os.close(fd)
        raise


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        try:
            os.kill(pid, number)  # it has not become a group of its own yet
        except ProcessLookupError:
            return


def _become(fields: list[bytes], fds: list[int], front: int) -> NoReturn:
    """In the child: the caller's world, then the command. Never returns."""
    code = 1
    try:
        os.setsid()
        for number in RESET:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, RESET)
        os.fchdir(fds[3])
        for standard, fd in enumerate(fds[:3]):
            os.dup2(fd, standard)
        os.closerange(3, 4096)
        os.umask(int(fields[3]))
        count = int(fields[4])
        arguments = [os.fsdecode(field) for field in fields[5 : 5 + count]]
        pairs = fields[5 + count :]
        os.environ.clear()
        os.environb.update(dict(zip(pairs[::2], pairs[1::2], strict=True)))
        time.tzset()
        _streams()
        sys.argv = ["pycompose", *arguments]
        from compose.__main__ import cold

        code = cold(front)
        sys.stdout.flush()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except KeyboardInterrupt:  # before the command had begun
        code = 130
    except BrokenPipeError:
        code = 141
    finally:
        os._exit(code & 0xFF)


def _streams() -> None:
    """Text streams over the caller's descriptors, buffered as a fresh interpreter's."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(  # type: ignore[misc]  # noqa: SIM115
        1, "w", encoding="utf-8", errors="surrogateescape", buffering=1 if os.isatty(1) else -1, closefd=False
    )
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc]  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )

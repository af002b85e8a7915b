"""Serve command lines: everything imported once, one fork a command.

    python -m compose.cli.warm RUN [IDLE_SECONDS]

Single-threaded, so that a fork is safe. A child is a session of its own with the caller's streams, directory,
environment and umask, and runs the same `main` as a cold command. A fork shares its pages until they are written to, and
Python writes to what it looks at; so the child for the next command is forked behind the last one, and gets its pages
while nobody waits. The server leaves when nobody came for a minute, when the engine is gone, or when a source file
changed under it.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import math
import os
import pkgutil
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from compose.cli.warm import wire
from compose.cli.warm.child import RESET, become, receive, rehearse
from compose.cli.warm.front import PACKAGE
from compose.cli.warm.sources import Sources, imported
from runtime.version import VERSION
from runtime.wire import unixsocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.cli.warm.child import Request

IDLE_SECONDS = 60.0
"""How long nobody may come: the process costs memory, and a person who works comes back sooner."""
LOOK_SECONDS = 1.0
"""How often an idle server looks whether the engine is still there."""
READ_TIMEOUT = 2.0
REST_SECONDS = 0.008
"""How long after a command a child for the next is forked: its own end and its front's go first."""
SPARE_SECONDS = 10.0
"""How long that child waits: its pages cost memory, and a person or a test-suite at work comes back sooner."""
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


class Child:
    """A forked process, and our end of a socket to it: a request may come by it, the exit code does."""

    __slots__ = ("pid", "socket")

    def __init__(self, pid: int, sock: socket.socket) -> None:
        self.pid = pid
        self.socket = sock


class Session:
    """One command under way."""

    __slots__ = ("child", "connection", "ending", "pidfd")

    def __init__(self, connection: socket.socket, child: Child) -> None:
        self.connection = connection
        self.child = child
        self.pidfd = os.pidfd_open(child.pid)
        self.ending = 0.0
        """Monotonic time at which it is killed, 0 while its front is there."""


class Server:
    """Accepts fronts and minds their commands."""

    def __init__(self, run: str, idle: float) -> None:
        self._engine_socket = f"{run}/engine.sock"
        self._path = wire.socket_path(run, os.geteuid())
        self._idle = idle
        self._sources = Sources(imported())
        self._sessions: dict[int, Session] = {}
        self._listener = unixsocket.listen(self._path)  # we hold the lock: whatever is there is nobody's
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)
        self._busy_until = time.monotonic()
        self._spare: Child | None = None
        """A child that was forked before there was a command for it."""
        self._spare_until = 0.0
        self._spare_at = self._busy_until
        """Monotonic time at which a spare child is to be made."""

    def serve(self) -> None:
        """Until nobody needs it any more."""
        try:
            while self._wanted():
                for fd, _ in self._poll.poll(self._patience() * 1000):
                    self._handle(fd)
                self._end_overdue()
                self._mind_spare()
        finally:
            self._drop_spare()
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
        elif fd == session.connection.fileno():
            self._hear(session)
        else:
            self._told(session)

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        self._busy_until = time.monotonic()
        self._spare_at = math.inf
        connection.settimeout(READ_TIMEOUT)
        fds: list[int] = []
        try:
            front, uid = unixsocket.peer(connection)
            if uid != os.geteuid():
                raise ValueError("another user")
            fields, fds = receive(connection)
            if self._is_stale(fields):
                connection.sendall(wire.STALE)
                self._idle = 0.0
                raise ValueError("stale")
            connection.sendall(wire.ACCEPTED)  # one that has gone runs it cold: then nobody may begin it here
            child = self._give(fields, fds, front) or self._fork(lambda _: (fields, fds, front))
            session = Session(connection, child)
        except (OSError, ValueError):
            connection.close()
            return
        finally:
            for fd in fds:
                os.close(fd)
        for fd in (connection.fileno(), child.socket.fileno(), session.pidfd):
            self._sessions[fd] = session
            self._poll.register(fd, select.POLLIN)

    def _fork(self, get: Callable[[socket.socket], Request]) -> Child:
        """A child that runs the command which `get` gives it; that gets the child's end of its socket."""
        ours, theirs = socket.socketpair()
        ours.settimeout(READ_TIMEOUT)
        # what is passed on before the child has handlers of its own waits for them
        signal.pthread_sigmask(signal.SIG_BLOCK, RESET)
        try:
            pid = os.fork()
            if pid == 0:
                ours.close()
                become(lambda: get(theirs), theirs.fileno())
        except OSError:
            ours.close()
            raise
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, RESET)
            theirs.close()
        return Child(pid, ours)

    def _patience(self) -> float:
        """Seconds to wait for something to happen."""
        return max(min(LOOK_SECONDS, self._spare_at - time.monotonic()), 0.0)

    def _mind_spare(self) -> None:
        """Make or end the spare child if it is time to: behind a command, not while the machine is busy with one."""
        now = time.monotonic()
        if now >= self._spare_at:
            self._spare_at = math.inf
            if self._spare is None:
                self._make_spare()
        elif self._spare is not None and now > self._spare_until:
            self._drop_spare()

    def _make_spare(self) -> None:
        """Fork a child for the next command, which does for itself what it can before it comes."""

        def wait(server: socket.socket) -> Request:
            rehearse()
            fields, fds = receive(server)
            return fields[1:], fds, int(fields[0])

        self._spare = self._fork(wait)
        self._spare_until = time.monotonic() + SPARE_SECONDS

    def _give(self, fields: list[bytes], fds: list[int], front: int) -> Child | None:
        """The spare child, which has the command; None if there is none, or no more."""
        if self._spare is None:
            return None
        request = wire.encode([str(front).encode(), *fields])
        try:
            sent = socket.send_fds(self._spare.socket, [request], fds)
            if sent < len(request):  # else it is at work, and may have ended
                self._spare.socket.sendall(request[sent:])
        except OSError:
            self._drop_spare()
            return None
        spare, self._spare = self._spare, None
        return spare

    def _drop_spare(self) -> None:
        if self._spare is not None:
            self._spare.socket.close()
            os.kill(self._spare.pid, signal.SIGKILL)  # it may stand still
            os.waitpid(self._spare.pid, 0)
            self._spare = None

    def _is_stale(self, fields: list[bytes]) -> bool:
        """Another version, another place, or a source file that changed since it was imported."""
        asked = (fields[0].decode(), os.fsdecode(fields[1]), os.fsdecode(fields[2]))
        if asked != (VERSION, PACKAGE, sys.executable):
            return True
        return self._sources.changed()

    def _hear(self, session: Session) -> None:
        try:
            said = session.connection.recv(2)
        except OSError:
            said = b""
        if len(said) == 2 and said[:1] == wire.SIGNAL:
            _signal_group(session.child.pid, said[1])
            return
        self._forget(session.connection)
        # The front is gone: what it started ends as if its terminal had gone.
        session.ending = time.monotonic() + KILL_AFTER
        _signal_group(session.child.pid, signal.SIGCONT)
        _signal_group(session.child.pid, signal.SIGTERM)

    def _end_overdue(self) -> None:
        for session in set(self._sessions.values()):
            if session.ending and time.monotonic() > session.ending:
                _signal_group(session.child.pid, signal.SIGKILL)

    def _told(self, session: Session) -> None:
        """The child says how the command ended, or closed its end without a word."""
        try:
            code = session.child.socket.recv(1)
        except OSError:
            code = b""
        self._forget(session.child.socket)
        if code:
            self._answer(session, wire.EXITED + code)

    def _ended(self, session: Session) -> None:
        if session.child.socket.fileno() in self._sessions:
            self._told(session)
        _, status = os.waitpid(session.child.pid, 0)
        self._spare_at = time.monotonic() + REST_SECONDS
        if os.WIFSIGNALED(status):
            self._answer(session, wire.KILLED + bytes([os.WTERMSIG(status)]))
        else:
            self._answer(session, wire.EXITED + bytes([os.WEXITSTATUS(status)]))
        self._poll.unregister(session.pidfd)
        del self._sessions[session.pidfd]
        os.close(session.pidfd)

    def _answer(self, session: Session, answer: bytes) -> None:
        """Tell the front how the command ended, unless it has been told or is gone."""
        if session.connection.fileno() not in self._sessions:
            return
        try:
            session.connection.sendall(answer)
        except OSError:
            pass
        self._forget(session.connection)

    def _forget(self, sock: socket.socket) -> None:
        self._poll.unregister(sock.fileno())
        del self._sessions[sock.fileno()]
        sock.close()


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


def _signal_group(pid: int, number: int) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        try:
            os.kill(pid, number)  # it has not become a group of its own yet
        except ProcessLookupError:
            return

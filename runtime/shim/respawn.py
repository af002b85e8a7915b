"""Bring a dead engine back, once: whoever lost it asks the engine's lock, a second lock elects the one who spawns.

The engine's lock is only probed (shared, for microseconds) by the elected one, so that fifty shims never stand in the
way of an engine that is starting.
"""

from __future__ import annotations

import fcntl
import os
import signal
from typing import TYPE_CHECKING, TypedDict

from runtime.linux import constants as c
from runtime.shim.loop import complain

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.linux.syscalls import Kernel
    from runtime.shim.loop import Loop, Timer

RETRY_SECONDS = 1.0


class EngineCommand(TypedDict):
    """How to start the engine."""

    argv: list[str]
    env: dict[str, str]
    lock: str
    """The engine's flock file."""
    log: str
    """Its stdout and stderr."""


class HostNamespaces(TypedDict):
    """Descriptors of the namespaces the engine belongs in, taken before the zygote left them."""

    pid: int
    mnt: int


class Surroundings(TypedDict):
    """What is the same for all shims of a zygote."""

    engine: EngineCommand
    namespaces: HostNamespaces
    zygote: int
    """The pid of the one that serves the engine; a retired one stays the parent of its shims."""


class Respawn:
    """Watches over the engine's absence: lost() starts the attempts, found() ends them."""

    __slots__ = ("_command", "_election", "_kernel", "_loop", "_namespaces", "_stand_back", "_timer")

    def __init__(
        self,
        loop: Loop,
        kernel: Kernel,
        command: EngineCommand,
        namespaces: HostNamespaces,
        stand_back: Callable[[], bool] = bool,
    ) -> None:
        """`stand_back()` is asked before each attempt: true while somebody else is sure to bring the engine back."""
        self._loop = loop
        self._kernel = kernel
        self._command = command
        self._namespaces = namespaces
        self._stand_back = stand_back
        self._timer: Timer | None = None
        self._election: int | None = None

    def lost(self, delay: float) -> None:
        """The engine's connection ended: try after `delay` seconds (jittered up to twice that), then every second."""
        if self._timer is None:
            self._timer = self._loop.later(delay * (1 + os.urandom(1)[0] / 256), self._attempt)

    def found(self) -> None:
        """An engine said hello."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._resign()

    def _attempt(self) -> None:
        self._timer = self._loop.later(RETRY_SECONDS, self._attempt)
        try:
            if not self._stand_back() and self._elected() and engine_is_gone(self._command["lock"]):
                spawn(self._kernel, self._command, self._namespaces)
        except OSError as error:
            complain(f"engine respawn: {error}")

    def _elected(self) -> bool:
        """Hold the election lock until an engine says hello; the kernel frees it with this process."""
        if self._election is not None:
            return True
        fd = os.open(f"{self._command['lock']}.respawn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        self._election = fd
        return True

    def _resign(self) -> None:
        if self._election is not None:
            os.close(self._election)
            self._election = None


def engine_is_gone(lock: str) -> bool:
    """Whether nobody holds the engine's lock. Raises OSError."""
    fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def spawn(kernel: Kernel, command: EngineCommand, namespaces: HostNamespaces) -> None:
    """Exec the engine in the host's namespaces, detached: its parent is the nearest reaper, not the caller."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    try:
        _become_engine(kernel, command, namespaces)
    except BaseException as error:  # nothing may return into the caller's stack
        complain(f"engine respawn: {error}")
    finally:
        os._exit(127)


def _become_engine(kernel: Kernel, command: EngineCommand, namespaces: HostNamespaces) -> None:
    kernel.setns(namespaces["pid"], c.CLONE_NEWPID)
    kernel.setns(namespaces["mnt"], c.CLONE_NEWNS)
    os.setsid()
    if os.fork():
        os._exit(0)
    os.chdir("/")
    os.umask(0o022)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    log = os.open(command["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGPIPE, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execve(command["argv"][0], command["argv"], command["env"])

"""Make sure that an engine runs, and one that is not older than this command line.

The engine tells that its socket listens by a byte on an inherited pipe: no polling on the way that is taken every
time. Two commands may start two engines; the lock lets one of them live, the other command finds it by connecting.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import time
from typing import TYPE_CHECKING

import runtime
from runtime import paths as locations
from runtime.client.client import Client
from runtime.errors import Unavailable
from runtime.version import PROTOCOL, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.paths import Paths

START_TIMEOUT = 60.0
"""Seconds for an engine that lives: one that ended is told by the pipe at once, and a first start may compile everything."""
READY_FD = 3
MALLOC = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "131072"}
"""One heap for the engine's few threads, given back when it shrinks: 2 MB less for a process that is always there."""
LOG_LINES = 10
_LOG_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND
KEPT_ENVIRONMENT = ("PATH", "LANG", "PYCOMPOSE_FAILPOINT", "PYCOMPOSE_IDLE_EXIT")


def connect(environ: Mapping[str, str], *, start: bool = True) -> Client:
    """A client of the caller's engine, started and up to date unless `start` is false. Raises Unavailable."""
    client = Client(locations.from_environment(environ, os.geteuid()))
    if start:
        ensure(client, environ)
    return client


def ensure(client: Client, environ: Mapping[str, str]) -> None:
    """Start the engine if none answers, replace it if it is older than this code. Raises Unavailable."""
    client.revive = None
    found = _greet(client)
    if found is None:
        start(client.paths, environ)
        found = client.version()
    if _is_older(found):
        try:
            client.stop(handover=True)
        except Unavailable:
            pass  # another command asked first
        wait_for_end(client.paths)
        start(client.paths, environ)
        found = client.version()
    if found["Protocol"] != PROTOCOL:
        raise Unavailable(
            f"engine {found['Version']} speaks protocol {found['Protocol']}, this is pycompose {VERSION} with protocol "
            f"{PROTOCOL}: use the newer pycompose, or stop the engine with it"
        )
    # a connect is no answer: an engine that dies before it gives one is to be started again all the same
    client.revive = lambda: ensure(client, environ)


def start(paths: Paths, environ: Mapping[str, str], timeout: float = START_TIMEOUT) -> None:
    """Start an engine and return when it listens. Raises Unavailable with the end of its log, or with what cannot be made."""
    try:
        os.makedirs(paths.root, mode=0o710, exist_ok=True)
        os.makedirs(paths.run, mode=0o710, exist_ok=True)
        os.close(os.open(paths.engine_log, _LOG_FLAGS, 0o600))
    except OSError as error:
        raise Unavailable(
            f"engine did not start: {error.filename}: {(error.strerror or str(error)).lower()};"
            " the directories it lives in have to be writable, PYCOMPOSE_ROOT names another place"
        ) from error
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        log_start = _size(paths.engine_log)
        try:
            pid = _spawn(paths, environ, writer)
        finally:
            os.close(writer)
        deadline = time.monotonic() + timeout
        poller = select.poll()
        poller.register(reader, select.POLLIN | select.POLLHUP)
        ready = bool(poller.poll(timeout * 1000)) and os.read(reader, 1) != b""
    finally:
        os.close(reader)
    if ready:
        return
    # it ended: because another one holds the lock (then that one answers soon), or because it could not start
    while time.monotonic() < deadline:
        if _answers(paths):
            return
        if not lock_is_held(paths.engine_lock):
            break
        time.sleep(0.01)
    _reap(pid)
    raise Unavailable(f"engine did not start{_log_excerpt(paths.engine_log, log_start)}")


def _spawn(paths: Paths, environ: Mapping[str, str], ready_fd: int) -> int:
    """Exec the engine in a session of its own, with next to nothing of the caller's environment."""
    arguments = ["-P", "-m", "runtime.daemon", "--root", paths.root, "--run", paths.run, "--ready-fd", str(READY_FD)]
    package = os.path.dirname(os.path.dirname(os.path.abspath(runtime.__file__ or "")))
    kept = {name: environ[name] for name in KEPT_ENVIRONMENT if name in environ}
    environment = {"PATH": os.defpath, **kept, "PYTHONPATH": package}
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, paths.engine_log, _LOG_FLAGS, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        (os.POSIX_SPAWN_DUP2, ready_fd, READY_FD),
    ]
    argv = [sys.executable, *arguments]
    return os.posix_spawn(sys.executable, argv, environment, file_actions=actions, setsid=True)


def _greet(client: Client) -> Mapping[str, object] | None:
    """Protocol and Version of the engine that listens; None if none does."""
    try:
        return _signed(client.paths.engine_lock, client.open()) or client.version()
    except Unavailable as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        return None


def _signed(lock: str, pid: int) -> dict[str, object] | None:
    """What the engine with this pid wrote into its lock's file before it listened; None if it did not."""
    try:
        with open(lock, encoding="utf-8") as stream:
            protocol, version, signer = stream.read().split()
        return {"Protocol": int(protocol), "Version": version} if int(signer) == pid else None
    except (OSError, ValueError):
        return None


def _is_older(found: Mapping[str, object]) -> bool:
    ours = (PROTOCOL, *_numbers(VERSION))
    theirs = (int(str(found["Protocol"])), *_numbers(str(found["Version"])))
    return theirs < ours


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int("".join(filter(str.isdigit, part)) or 0) for part in version.split(".")[:3])


def _answers(paths: Paths) -> bool:
    client = Client(paths)
    try:
        client.version()
    except Unavailable:
        return False
    finally:
        client.close()
    return True


def lock_is_held(path: str) -> bool:
    """Whether a process holds the lock file `path`."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def wait_for_end(paths: Paths, timeout: float = START_TIMEOUT) -> None:
    """Return when the engine that was told to stop is gone; raises Unavailable after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while lock_is_held(paths.engine_lock):
        if time.monotonic() > deadline:
            raise Unavailable(f"engine did not end within {timeout:g} seconds")
        time.sleep(0.005)


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _log_excerpt(path: str, start: int) -> str:
    """What the failed engine wrote, to be put behind a message."""
    try:
        with open(path, "rb") as file:
            file.seek(start)
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = text.strip().splitlines()[-LOG_LINES:]
    return ":\n  " + "\n  ".join(lines) if lines else f"; see {path}"

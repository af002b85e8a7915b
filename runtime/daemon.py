"""The engine's process: takes the lock, leaves its starter's world behind, serves until it is told to stop or idle.

    python -m runtime.daemon --root DIR --run DIR [--ready-fd N]

What started it may end at any time: so it keeps neither cgroup, session, terminal, directory, umask, environment nor
resource limits of it.
"""

from __future__ import annotations

import sys

# asyncio and hashlib load OpenSSL where they can: 3 MB for a process that speaks to unix sockets only and hashes next to
# nothing. What needs TLS or speed is a worker's.
for _name in ("ssl", "_hashlib"):
    sys.modules.setdefault(_name, None)  # type: ignore[arg-type]

import asyncio
import fcntl
import os
import resource
import signal
import time
from typing import TYPE_CHECKING

from runtime.api.router import dispatcher
from runtime.api.server import Connection
from runtime.cgroups.leave import leave_cgroup
from runtime.engine import restore
from runtime.engine.engine import Engine
from runtime.engine.log import configure, log
from runtime.errors import EngineError
from runtime.paths import Paths
from runtime.version import PROTOCOL, VERSION
from runtime.wire import unixsocket

if TYPE_CHECKING:
    import socket

IDLE_EXIT = 300.0
"""Seconds without a container to mind and without a client, after which the engine leaves."""
IDLE_CHECK = 5.0
CLOSING_CLIENTS = 2.0
"""Seconds that open connections get to take their last bytes."""
KEPT_ENVIRONMENT = (
    "MALLOC_ARENA_MAX",
    "MALLOC_TRIM_THRESHOLD_",
    "PATH",
    "PYTHONPATH",
    "LANG",
    "PYCOMPOSE_ROOT",
    "PYCOMPOSE_IDLE_EXIT",
)
SOFT_FILES = 1 << 16
LOCK_PATIENCE = 0.1
"""Seconds."""


def main(argv: list[str]) -> int:
    """Run the engine; 0 when it left in order or another one holds the lock."""
    options = _parse(argv)
    paths = Paths(root=options["root"], run=options["run"])
    for folder in (paths.root, paths.run):
        os.makedirs(folder, mode=0o710, exist_ok=True)
    lock = os.open(paths.engine_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if not _lock(lock):
        return 0  # without a word: whoever waits for this one finds the other by its socket
    _sign(lock)
    _leave_starter(paths)
    configure()
    try:
        asyncio.run(_serve(paths, options))
    except EngineError as error:
        log.error("the engine cannot run: %s", error)
        return 1
    return 0


def _lock(fd: int) -> bool:
    """Take the engine's lock; a shim that looks whether an engine lives holds it for some microseconds."""
    deadline = time.monotonic() + LOCK_PATIENCE
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        else:
            return True


def _sign(lock: int) -> None:
    """Say in the lock's file who holds it: a command need not ask before its first request."""
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{PROTOCOL} {VERSION} {os.getpid()}\n".encode(), 0)
    except OSError:
        return  # no room: then it asks


async def _serve(paths: Paths, options: dict[str, str]) -> None:
    loop = asyncio.get_running_loop()
    engine = Engine(paths)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.leaving.set)
    await restore.restore(engine)
    clients: set[asyncio.Task[None]] = set()
    handler = dispatcher(engine)

    async def serve_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            clients.add(task)
            task.add_done_callback(clients.discard)
        await Connection(reader, writer).serve(handler)

    listener = unixsocket.listen(paths.engine_socket, mode=0o600)
    # asyncio listens anew with 100: a burst of clients beyond it is refused with EAGAIN; the kernel caps at somaxconn
    server = await asyncio.start_unix_server(serve_client, sock=listener, backlog=4096)
    log.info("engine %s serves %s (pid %d)", engine.id, paths.engine_socket, os.getpid())
    _ready(options)
    restore.resume(engine)
    idle = loop.create_task(_leave_when_idle(engine, clients))
    await engine.leaving.wait()
    idle.cancel()
    server.close()
    _remove_socket(listener, paths.engine_socket)
    if clients:
        await asyncio.wait(clients, timeout=CLOSING_CLIENTS)
    await engine.close()
    log.info("engine %s left", engine.id)


async def _leave_when_idle(engine: Engine, clients: set[asyncio.Task[None]]) -> None:
    limit = float(os.environ.get("PYCOMPOSE_IDLE_EXIT") or IDLE_EXIT)
    loop = asyncio.get_running_loop()
    since = loop.time()
    while True:
        await asyncio.sleep(min(IDLE_CHECK, limit / 2))
        if clients or any(item.active for item in engine.containers.values()):
            since = loop.time()
        elif loop.time() - since >= limit:
            log.info("nothing to mind for %g s: leaving", limit)
            engine.leaving.set()
            return


def _remove_socket(listener: socket.socket, path: str) -> None:
    """Only our own socket file: a successor may have put its own in the place already."""
    listener.close()
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _leave_starter(paths: Paths) -> None:
    """Become nobody's child: the end of the starter's session, scope or terminal ends no stack."""
    os.chdir("/")
    os.umask(0o022)
    try:
        os.setsid()
    except PermissionError:
        pass  # a session leader already
    leave_cgroup()
    kept = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
    os.environ.clear()
    os.environ.update(kept)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(SOFT_FILES, hard), hard))
    null = os.open(os.devnull, os.O_RDWR)
    output = os.open(paths.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(null)
    os.close(output)


def _ready(options: dict[str, str]) -> None:
    """Tell the starter that the socket listens."""
    if "ready-fd" not in options:
        return
    fd = int(options.pop("ready-fd"))
    try:
        os.write(fd, b"1")
        os.close(fd)
    except OSError:
        return  # the starter did not wait


def _parse(argv: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    words = iter(argv)
    for word in words:
        name = word.removeprefix("--")
        value = next(words, None)
        if not word.startswith("--") or name not in {"root", "run", "ready-fd"} or value is None:
            raise SystemExit(f"usage: python -m runtime.daemon --root DIR --run DIR [--ready-fd N]; got {word}")
        options[name] = value
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

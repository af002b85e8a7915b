"""Start the zygote from a sealed copy of the interpreter, or find the one that runs.

A process inside a container can open /proc/PID/exe of whatever enters it; a sealed memfd is all it finds there
(CVE-2019-5736). The interpreter finds its library from argv[0], so that must stay the real path.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import runtime
from runtime.errors import Unavailable, from_wire
from runtime.version import PROTOCOL, VERSION
from runtime.wire import seqpacket, unixsocket

if TYPE_CHECKING:
    from runtime.paths import Paths
    from runtime.shim.respawn import EngineCommand

HELLO_SECONDS = 10.0

_MFD_EXEC = 0x10
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE

# -I and -S: no environment, no site-packages, no current directory. The package's own place comes last, behind the
# standard library, so that nothing beside it can shadow a module.
_FLAGS = ("-I", "-S", "-X", "utf8")
# OpenSSL is kept out: 4 MB for the digest of one small text. What a shim runs comes first: it lies close together then,
# in fewer pages that become a shim's own.
_PROGRAM = "import sys; sys.modules['_hashlib'] = None; sys.path.append(sys.argv[1]); import runtime.shim.shim; from runtime.shim.zygote import main; main(int(sys.argv[2]))"
_SOCKET_FD = 3
# Blocks of log text are large and short-lived: give them back instead of keeping them on each shim's heap.
_ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_MMAP_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "1"}


def package_root() -> str:
    """The directory that holds the package `runtime`."""
    return os.path.dirname(os.path.dirname(os.path.abspath(runtime.__file__)))


def engine_command(paths: Paths, environ: dict[str, str] | None = None) -> EngineCommand:
    """How zygote and shims bring the engine back: this interpreter, this package, the caller's environment."""
    env = dict(os.environ if environ is None else environ)
    root = package_root()
    known = [part for part in env.get("PYTHONPATH", "").split(os.pathsep) if part and part != root]
    env["PYTHONPATH"] = os.pathsep.join([root, *known])
    argv = [sys.executable, "-m", "runtime.daemon", "--root", paths.root, "--run", paths.run]
    return {"argv": argv, "env": env, "lock": paths.engine_lock, "log": paths.engine_log}


def connect(paths: Paths) -> socket.socket:
    """A connection to the running zygote. Raises Unavailable when there is none."""
    try:
        return unixsocket.connect(paths.zygote_socket, socket.SOCK_SEQPACKET, timeout=HELLO_SECONDS)
    except OSError as error:
        raise Unavailable(f"zygote {paths.zygote_socket}: {error.strerror or error}") from error


def start(paths: Paths, command: EngineCommand | None = None) -> tuple[socket.socket, int]:
    """Start a zygote: the engine's connection to it and its pid (a child, to be reaped by the caller).

    Returns at once; `hello` waits until it is ready. Raises OSError.
    """
    ours, theirs = seqpacket.pair()
    with ours as guard, theirs:
        seqpacket.send(
            ours,
            {
                "type": "config",
                "root": paths.root,
                "run": paths.run,
                "socket": paths.zygote_socket,
                "engine": command or engine_command(paths),
            },
        )
        pid = _exec(theirs.fileno(), paths.engine_log)
        kept = guard.dup()
    kept.settimeout(HELLO_SECONDS)
    return kept, pid


def hello(sock: socket.socket) -> dict[str, Any]:
    """Greet the zygote and wait for its answer `{version, protocol, pid}`. Raises Unavailable."""
    try:
        return request(sock, {"type": "hello", "version": VERSION, "protocol": PROTOCOL})[0]
    except (EOFError, OSError) as error:
        raise Unavailable("zygote: did not start, its reason is in the engine's log") from error


def request(
    sock: socket.socket, message: dict[str, Any], fds: list[int] | None = None
) -> tuple[dict[str, Any], list[int]]:
    """One request on a blocking connection and its answer. Raises the EngineError that the zygote reports, EOFError."""
    seqpacket.send(sock, message, fds or ())
    answer, received = seqpacket.recv(sock)
    if "error" in answer:
        seqpacket.close_all(received)
        raise from_wire(answer["error"])
    return answer, received


def sealed_copy(path: str) -> int:
    """A memfd with the file's content that nobody can write to. Raises OSError."""
    flags = os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING
    try:
        memfd = os.memfd_create("pycompose", flags | _MFD_EXEC)
    except OSError:  # before Linux 6.3
        memfd = os.memfd_create("pycompose", flags)
    try:
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            left = os.fstat(source).st_size
            while left:
                left -= os.sendfile(memfd, source, None, left) or left
        finally:
            os.close(source)
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(memfd)
        raise
    return memfd


def interpreter() -> str:
    """The real interpreter, outside any virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


def _exec(socket_fd: int, log_path: str) -> int:
    executable = interpreter()
    memfd = sealed_copy(executable)
    log = os.open(log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    # A descriptor that is 0..3 already would be overwritten before it is used.
    socket_copy = fcntl.fcntl(socket_fd, fcntl.F_DUPFD_CLOEXEC, 10)
    binary = fcntl.fcntl(memfd, fcntl.F_DUPFD_CLOEXEC, 10)
    stderr = fcntl.fcntl(log, fcntl.F_DUPFD_CLOEXEC, 10)
    try:
        return os.posix_spawn(
            f"/proc/self/fd/{binary}",
            [executable, *_FLAGS, "-c", _PROGRAM, package_root(), str(_SOCKET_FD)],
            _ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDWR, 0),
                (os.POSIX_SPAWN_DUP2, stderr, 1),
                (os.POSIX_SPAWN_DUP2, stderr, 2),
                (os.POSIX_SPAWN_DUP2, socket_copy, _SOCKET_FD),
            ],
            setsid=True,
            setsigmask=[],
        )
    finally:
        seqpacket.close_all([memfd, log, socket_copy, binary, stderr])

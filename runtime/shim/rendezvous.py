"""The socket file of one run: bound by it, and removed by it as long as it is its own.

The next run of the container binds the same path, perhaps while the shim of the last one is just leaving. A lock on the
directory makes "still mine? then unlink" one step; inode numbers are reused at once, so the change time counts too.
"""

from __future__ import annotations

import fcntl
import os
import socket

from runtime.wire import unixsocket


def bind(path: str) -> tuple[int, list[int]]:
    """A listening socket, and the mark that tells our file from another run's. Raises OSError."""
    directory = os.path.dirname(path)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    lock = _lock(directory)
    try:
        return unixsocket.listen(path, socket.SOCK_SEQPACKET).detach(), _mark(path)
    finally:
        os.close(lock)


def remove(path: str, mark: list[int]) -> None:
    """Unlink the file if it is still ours; gone is fine."""
    try:
        lock = _lock(os.path.dirname(path))
    except OSError:
        return
    try:
        if _mark(path) == mark:
            os.unlink(path)
    except OSError:
        pass
    finally:
        os.close(lock)


def _lock(directory: str) -> int:
    """Held until the descriptor is closed. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def _mark(path: str) -> list[int]:
    status = os.lstat(path)
    return [status.st_ino, status.st_ctime_ns]

"""The socket files of one run: bound by it, and removed by it as long as they are its own.

The next run of the container binds the same paths, perhaps while the shim of the last one is just leaving. A lock on
the directory makes "still mine? then unlink" one step; inode numbers are reused at once, so the change time counts too.
"""

from __future__ import annotations

import fcntl
import os
import socket
from typing import Any

from runtime.wire import unixsocket

KINDS = {"shim_socket": socket.SOCK_SEQPACKET, "attach_socket": socket.SOCK_STREAM}
"""What a start request calls the paths."""


def bind(request: dict[str, Any]) -> tuple[dict[str, int], dict[str, list[int]]]:
    """Listening sockets by name, and the marks that tell our files from others'. Raises OSError."""
    fds: dict[str, int] = {}
    marks: dict[str, list[int]] = {}
    for name, kind in KINDS.items():
        path = request[name]
        directory = os.path.dirname(path)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        lock = _lock(directory)
        try:
            fds[name] = unixsocket.listen(path, kind).detach()
            marks[name] = _mark(path)
        finally:
            os.close(lock)
    return fds, marks


def remove(request: dict[str, Any], marks: dict[str, list[int]]) -> None:
    """Unlink the files that are still ours; gone is fine."""
    for name, mark in marks.items():
        path = request[name]
        try:
            lock = _lock(os.path.dirname(path))
        except OSError:
            continue
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

"""Bind and connect Unix sockets at paths of any length.

`sun_path` holds 108 bytes, but `/proc/self/fd/N/name` names any directory in a few.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Final

_CREDENTIALS: Final = struct.Struct("3i")
"""struct ucred: pid, uid, gid."""


def listen(path: str, kind: int = socket.SOCK_STREAM, *, backlog: int = 128, mode: int = 0o600) -> socket.socket:
    """A listening socket at `path`, replacing a stale socket file; the directory must exist. Raises OSError."""
    directory, name = _split(path)
    try:
        try:
            os.unlink(name, dir_fd=directory)
        except FileNotFoundError:
            pass
        server = socket.socket(socket.AF_UNIX, kind)
        # The umask decides the mode from the first moment; a chmod after bind would leave a gap.
        before = os.umask(0o777 & ~mode)
        try:
            server.bind(f"/proc/self/fd/{directory}/{name}")
        except OSError:
            server.close()
            raise
        finally:
            os.umask(before)
        server.listen(backlog)
        return server
    finally:
        os.close(directory)


def connect(path: str, kind: int = socket.SOCK_STREAM, *, timeout: float | None = None) -> socket.socket:
    """A socket connected to `path`; `timeout` (seconds) stays set on it. Raises OSError."""
    directory, name = _split(path)
    try:
        client = socket.socket(socket.AF_UNIX, kind)
        client.settimeout(timeout)
        try:
            client.connect(f"/proc/self/fd/{directory}/{name}")
        except OSError:
            client.close()
            raise
        return client
    finally:
        os.close(directory)


def peer(sock: socket.socket) -> tuple[int, int]:
    """Pid and user id of the process that connected, or that listens, at the other end; the pid is 0 outside our pid namespace."""
    pid, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return pid, uid


def _split(path: str) -> tuple[int, str]:
    directory, name = os.path.split(path)
    return os.open(directory or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC), name

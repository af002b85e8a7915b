"""Lend a client's ssh agent to one RUN through a socket of its own, with the owner and mode that the mount asks for.

A bind mount of the agent's socket would keep the client's owner and mode (connect(2) needs write permission), so that a
RUN as another user could not use it; this socket's end is also the end of the loan.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Final

_CHUNK: Final = 1 << 14


class Loan:
    """Listens at `path` (short: 107 bytes at most) and hands every connection on to the agent at `agent`."""

    def __init__(self, path: str, agent: str, *, uid: int, gid: int, mode: int) -> None:
        """Raises OSError."""
        self.path = path
        self._agent = agent
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        os.chown(path, uid, gid)
        os.chmod(path, mode)
        self._listener.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """End the loan and all its connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(2), which close(2) does not
        self._listener.close()
        with self._lock:
            left = list(self._open)
        for connection in left:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)

    def _serve(self) -> None:
        while True:
            try:
                inside, _ = self._listener.accept()
            except OSError:
                return
            agent = socket.socket(socket.AF_UNIX)
            try:
                agent.connect(self._agent)
            except OSError:
                agent.close()
                inside.close()
                continue
            threading.Thread(target=self._join, args=(inside, agent), daemon=True).start()

    def _join(self, inside: socket.socket, agent: socket.socket) -> None:
        with inside, agent:
            with self._lock:
                self._open |= {inside, agent}
            back = threading.Thread(target=_pass_on, args=(agent, inside), daemon=True)
            back.start()
            _pass_on(inside, agent)
            back.join()
            with self._lock:
                self._open -= {inside, agent}


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)

"""Where a process's stdin, stdout and stderr lead: pipes, a terminal or /dev/null.

The child's ends are closed in the shim as soon as the child has them, or end of file would never come.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import termios

from runtime.errors import SystemFailure
from runtime.wire import seqpacket

PIPE_SIZE = 256 * 1024
"""Bytes; a writer of a million lines waits less often. Pages are used only when written."""


Stdio = tuple[int | None, int | None, int | None]
NOWHERE: Stdio = (None, None, None)
"""The container's own /dev/null for all three."""


class Ends:
    """Descriptors of one process: `child` and `console` to hand over, the others ours; None where there is none."""

    __slots__ = ("_source", "child", "console", "stderr", "stdin", "stdout")

    def __init__(
        self,
        child: Stdio,
        *,
        stdin: int | None = None,
        stdout: int | None = None,
        stderr: int | None = None,
        terminal: tuple[int, socket.socket] | None = None,
    ) -> None:
        self.child = child
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.console: int | None = terminal[0] if terminal else None
        self._source: socket.socket | None = terminal[1] if terminal else None

    def take_master(self) -> None:
        """Receive the terminal that the child has opened by the time it runs: stdin and stdout both. Raises SystemFailure."""
        if self._source is None:
            return
        try:
            _, fds, _, _ = socket.recv_fds(self._source, 64, 1, socket.MSG_DONTWAIT)
        except OSError as error:
            raise SystemFailure("terminal: the container sent none") from error
        if not fds:
            raise SystemFailure("terminal: the container sent none")
        self._source.close()
        self._source = None
        os.set_inheritable(fds[0], False)
        os.set_blocking(fds[0], False)
        self.stdin = self.stdout = fds[0]

    def close_child(self) -> None:
        """Close what the child has by now."""
        for fd in {*self.child, self.console}:
            if fd is not None:
                os.close(fd)
        self.child, self.console = NOWHERE, None

    def close_all(self) -> None:
        """Give everything up."""
        self.close_child()
        for fd in {self.stdin, self.stdout, self.stderr}:
            if fd is not None:
                os.close(fd)
        self.stdin = self.stdout = self.stderr = None
        if self._source is not None:
            self._source.close()
            self._source = None


def pipes(*, stdin: bool, merge: bool = False) -> Ends:
    """Pipes for stdout and stderr (`merge`: one for both) and, if wanted, for stdin. Raises OSError."""
    made = several_pipes(stdin + 2 - merge)
    stdin_child, stdin_ours = made.pop(0) if stdin else (None, None)
    stdout_ours, stdout_child = made.pop(0)
    stderr_ours, stderr_child = (None, stdout_child) if merge else made.pop(0)
    for fd in (stdout_ours, stderr_ours):
        if fd is not None:
            os.set_blocking(fd, False)
    return Ends((stdin_child, stdout_child, stderr_child), stdin=stdin_ours, stdout=stdout_ours, stderr=stderr_ours)


def several_pipes(count: int) -> list[tuple[int, int]]:
    """(read, write) of each, close-on-exec; all or none. Raises OSError."""
    made: list[tuple[int, int]] = []
    try:
        while len(made) < count:
            made.append(os.pipe2(os.O_CLOEXEC))
    except OSError:
        # One exec too many must not take the descriptors of the next ones for good.
        seqpacket.close_all([fd for pipe in made for fd in pipe])
        raise
    return made


def terminal() -> Ends:
    """A terminal of the container's own devpts, which comes later: see take_master. Raises OSError."""
    ours, theirs = socket.socketpair()
    return Ends(NOWHERE, terminal=(theirs.detach(), ours))


def nowhere() -> Ends:
    """The container's own /dev/null for all three."""
    return Ends(NOWHERE)


def widen(fd: int) -> None:
    """A larger pipe buffer; refused over the user's quota, which is fine."""
    try:
        fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    except OSError:
        pass


def resize(master: int, payload: bytes) -> None:
    """Apply a RESIZE frame to a terminal; the kernel tells its foreground processes. Raises ValueError, OSError."""
    size = json.loads(payload)
    try:
        rows, columns = int(size["h"]) & 0xFFFF, int(size["w"]) & 0xFFFF
    except (KeyError, TypeError) as error:
        raise ValueError(f"resize {payload[:80]!r}") from error
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

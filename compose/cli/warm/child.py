"""What a child of the warm server does: make ready, take a request, become the caller's process, run the command."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from compose.cli.warm import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    Request = tuple[list[bytes], list[int], int]
    """A request's fields and descriptors, and the pid of its front."""

RESET = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGWINCH, signal.SIGPIPE)
"""Signals whose handling a command begins with as a fresh process does."""
SERVER = 3
"""The descriptor of the socket to the server in a child that runs a command."""


def rehearse() -> None:
    """Run a command that does nothing: the pages that every command writes to are copied now, not when one waits."""
    from compose.cli import app
    from compose.cli.console import Console

    _streams()
    app.main(["version"], Console(environ={}, cwd="/", stdin=sys.stdin, stdout=sys.stdout, stderr=sys.stderr))
    sys.stdout.flush()


def receive(connection: socket.socket) -> tuple[list[bytes], list[int]]:
    """The request's fields and its descriptors. Raises ValueError, OSError."""
    data, fds, _, _ = socket.recv_fds(connection, 1 << 16, wire.DESCRIPTORS)
    try:
        if len(fds) != wire.DESCRIPTORS:
            raise ValueError("descriptors are missing")
        size = int.from_bytes(data[:4], "big")
        if size > wire.MAX_REQUEST:
            raise ValueError("request is too long")
        body = bytearray(data[4:])
        while len(body) < size:
            part = connection.recv(min(1 << 20, size - len(body)))
            if not part:
                raise ValueError("request is short")
            body += part
        return wire.decode(bytes(body)), fds
    except (ValueError, OSError):
        for fd in fds:
            os.close(fd)
        raise


def become(get: Callable[[], Request], server: int) -> NoReturn:
    """In the child: the caller's world, then the command. Never returns.

    The descriptor `server` is told the exit code (a byte) before the end, so that nobody waits while the kernel takes a
    dead process apart.
    """
    code = 1
    telling = False
    try:
        for number in (*RESET, signal.SIGIO):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        fields, fds, front = get()
        os.setsid()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, RESET)
        os.fchdir(fds[3])
        for standard, fd in enumerate(fds[:3]):
            os.dup2(fd, standard)
        if server != SERVER:
            os.dup2(server, SERVER, inheritable=False)
        os.closerange(SERVER + 1, 4096)
        telling = True
        _end_with(SERVER)
        os.umask(int(fields[3]))
        count = int(fields[4])
        arguments = [os.fsdecode(field) for field in fields[5 : 5 + count]]
        pairs = fields[5 + count :]
        os.environ.clear()
        os.environb.update(dict(zip(pairs[::2], pairs[1::2], strict=True)))
        time.tzset()
        _streams()
        sys.argv = ["pycompose", *arguments]
        from compose.__main__ import cold

        code = cold(front)
        sys.stdout.flush()
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 1
    except KeyboardInterrupt:  # before the command had begun
        code = 130
    except BrokenPipeError:
        code = 141
    finally:
        try:
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            if telling:
                os.closerange(0, SERVER)  # who reads our output to its end reads it now
                os.write(SERVER, bytes([code & 0xFF]))
        finally:  # a signal came, or the server is gone: it looks at how we ended
            os._exit(code & 0xFF)


def _end_with(fd: int) -> None:
    """Have the command interrupted when the other end of a socket is closed: its front has nobody to ask any more."""

    def abandoned(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGIO, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGIO, abandoned)
    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)


def _streams() -> None:
    """Text streams over the caller's descriptors, buffered as a fresh interpreter's."""
    sys.stdin = sys.__stdin__ = open(0, encoding="utf-8", errors="surrogateescape", closefd=False)  # type: ignore[misc]  # noqa: SIM115
    sys.stdout = sys.__stdout__ = open(  # type: ignore[misc]  # noqa: SIM115
        1, "w", encoding="utf-8", errors="surrogateescape", buffering=1 if os.isatty(1) else -1, closefd=False
    )
    sys.stderr = sys.__stderr__ = open(  # type: ignore[misc]  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )

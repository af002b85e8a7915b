"""A command that was handed over whole is never run a second time, however soon the other side closes."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Any

from compose.cli.warm import child, front, wire
from compose.cli.warm.server import Child, Server

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


class Closing:
    """A connection whose other end has taken all and closed it before the caller goes on."""

    def __init__(self, sock: socket.socket, serve: Callable[[], object]) -> None:
        self._sock = sock
        self._serve = serve

    def sendmsg(self, *arguments: Any) -> int:
        sent = self._sock.sendmsg(*arguments)
        self._serve()
        return sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)


def test_the_front_does_not_run_what_the_server_has_done() -> None:
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs:
            _, fds = child.receive(theirs)
            for fd in fds:
                os.close(fd)
            theirs.sendall(wire.ACCEPTED + wire.EXITED + b"\0")

    with ours:
        assert front._send(Closing(ours, serve), ["ps"])


def test_the_server_forks_no_child_for_what_the_spare_one_has(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    taken = []

    def send_fds(sock: socket.socket, data: list[bytes], fds: list[int]) -> int:
        sent = real(sock, data, fds)
        with theirs:
            fields, received = child.receive(theirs)
        for fd in received:
            os.close(fd)
        taken.append(fields)
        return sent

    real = socket.send_fds
    monkeypatch.setattr(socket, "send_fds", send_fds)
    server = object.__new__(Server)
    server._spare = spare = Child(4_000_000, ours)
    fds = [os.open(os.devnull, os.O_RDWR) for _ in range(wire.DESCRIPTORS)]
    try:
        assert server._give([b"version", b"word"], fds, 7) is spare
    finally:
        for fd in fds:
            os.close(fd)
        ours.close()
    assert taken == [[b"7", b"version", b"word"]]

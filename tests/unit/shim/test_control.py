"""Who connects to a shim is told apart, and what is malformed takes nobody's place."""

from __future__ import annotations

import os
import resource
import socket
import time

import pytest

from runtime.shim import control
from runtime.shim.control import Control
from runtime.shim.loop import Loop
from runtime.wire import seqpacket


class Peers:
    """A Control, and what it was told."""

    def __init__(self, tmp_path):
        self.loop = Loop()
        self.path = str(tmp_path / "socket")
        self.messages, self.clients, self.lost = [], [], []
        self.engine, theirs = seqpacket.pair()
        self.control = Control(
            self.loop,
            theirs.detach(),
            lambda message, fds: self.messages.append(message["type"]),
            lambda: self.lost.append(1),
            self.clients.append,
        )

    def listen(self):
        server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        server.bind(self.path)
        server.listen()
        self.control.listen(server.detach())

    def connect(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.settimeout(5)
        sock.connect(self.path)
        return sock

    def turn(self, seconds=0.05):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.loop.step(0.005)


@pytest.fixture
def peers(tmp_path):
    peers = Peers(tmp_path)
    yield peers
    peers.control.close()
    peers.engine.close()
    peers.loop.close()


def test_a_client_is_passed_on_and_the_engine_stays(peers):
    peers.listen()
    ours, theirs = socket.socketpair()
    with ours, theirs, peers.connect() as stranger:
        seqpacket.send(stranger, {"type": "client"}, [theirs.fileno()])
        peers.turn()
        os.close(peers.clients.pop())
        seqpacket.send(peers.engine, {"type": "still here"})
        peers.turn()
    assert (peers.messages, peers.lost) == (["still here"], [])


def test_a_client_without_its_stream_does_not_take_the_engines_place(peers):
    peers.listen()
    with peers.connect() as stranger:
        seqpacket.send(stranger, {"type": "client"})
        peers.turn()
        assert stranger.recv(1) == b""
    seqpacket.send(peers.engine, {"type": "still here"})
    peers.turn()
    assert (peers.messages, peers.clients) == (["still here"], [])


def test_the_newest_engine_wins(peers):
    peers.listen()
    with peers.connect() as newer:
        seqpacket.send(newer, {"type": "hello"})
        peers.turn()
        assert peers.messages == ["hello"]
        peers.engine.settimeout(5)
        assert peers.engine.recv(1) == b""
    peers.turn()
    assert peers.lost == [1]


def test_a_connection_that_cannot_be_accepted_waits_without_a_busy_loop(peers, monkeypatch):
    monkeypatch.setattr(control, "ACCEPT_AGAIN_SECONDS", 0.05)
    complaints = []
    monkeypatch.setattr(control, "complain", complaints.append)
    limit, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    peers.listen()
    stranger = peers.connect()
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        peers.turn(0.12)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    assert 1 <= len(complaints) <= 3
    with stranger:
        seqpacket.send(stranger, {"type": "hello"})
        peers.turn(0.12)
    assert peers.messages == ["hello"]

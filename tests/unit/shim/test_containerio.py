"""The container's output to several clients, of whom one may hang."""

from __future__ import annotations

import json
import os
import socket
import time

import pytest

from runtime.shim import containerio
from runtime.shim.connection import Connection
from runtime.shim.containerio import ContainerIO
from runtime.shim.loop import Loop
from runtime.wire import frames


class Rig:
    def __init__(self, tmp_path, **options):
        self.loop = Loop()
        self.path = tmp_path / "log"
        read, self.stdout = os.pipe()
        os.set_blocking(read, False)
        os.set_blocking(self.stdout, False)
        self.io = ContainerIO(self.loop, {"log": {"path": str(self.path)}, **options}, [None, read, None])
        self.clients = []

    def attach(self, **request):
        ours, theirs = socket.socketpair()
        theirs.settimeout(5)
        self.io.attach(Connection(self.loop, ours), request)
        self.clients.append(theirs)
        return theirs

    def write(self, data):
        """What of `data` the container could write now."""
        try:
            return os.write(self.stdout, data)
        except BlockingIOError:
            return 0

    def turn(self, condition, seconds=5):
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end
            self.loop.step(0.005)

    def close(self):
        os.close(self.stdout)
        for client in self.clients:
            client.close()
        self.io.finish(frames.EXIT, {"ExitCode": 0})
        self.loop.step(0)
        self.loop.close()


@pytest.fixture
def rig(tmp_path):
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def fill(rig):
    """Write until the container's pipe stays full: the shim reads no more."""
    total, idle = 0, 0
    while idle < 20:
        done = rig.write(b"x" * 65535 + b"\n")
        total += done
        idle = 0 if done else idle + 1
        rig.loop.step(0)
    return total


def test_the_log_is_opened_with_the_first_output(rig):
    assert not rig.path.exists()
    rig.write(b"hello\n")
    rig.turn(rig.path.exists)
    assert json.loads(rig.path.read_text())["log"] == "hello\n"


def test_a_log_that_cannot_be_opened_is_complained_about_once_and_the_container_goes_on(rig, capfd):
    rig.path.mkdir()
    for _ in range(3):
        rig.write(b"hello\n")
        rig.loop.step(0.01)
    assert capfd.readouterr().err.count("log ") == 1
    client = rig.attach()
    rig.write(b"still\n")
    rig.turn(lambda: rig.loop.step(0) or True)
    assert frames.Decoder().feed(client.recv(4096)) == [(frames.STDOUT, b"still\n")]


def test_a_slow_client_delays_the_container_and_loses_nothing(rig):
    client = rig.attach()
    written = fill(rig)
    decoder, got = frames.Decoder(), 0
    while got < written:
        got += sum(len(payload) for _, payload in decoder.feed(client.recv(1 << 16)))
        rig.loop.step(0)
    assert got == written
    rig.turn(lambda: rig.write(b"more\n"))


def test_a_client_that_takes_nothing_is_dropped_and_the_others_go_on(rig, monkeypatch):
    monkeypatch.setattr(containerio, "STALL_SECONDS", 0.05)
    hung, alive = rig.attach(), rig.attach()
    alive.setblocking(False)
    decoder, got = frames.Decoder(), []

    def read():
        try:
            got.extend(decoder.feed(alive.recv(1 << 20)))
        except BlockingIOError:
            pass
        return len(rig.io._clients) == 1

    for _ in range(200):
        rig.write(b"y" * 65536)
        rig.loop.step(0)
        read()
    rig.turn(read)
    rig.turn(lambda: rig.write(b"after\n"))
    rig.turn(lambda: read() and any(payload.endswith(b"after\n") for _, payload in got))
    hung.settimeout(5)
    while hung.recv(1 << 20):
        pass


def test_the_end_waits_for_no_client(rig):
    rig.attach()
    fill(rig)
    ended = []
    rig.io.on_eof = lambda: ended.append(1)
    os.close(rig.stdout)
    rig.stdout = os.dup(2)
    rig.io.expect_end()
    rig.turn(lambda: ended)

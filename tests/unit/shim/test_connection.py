"""A framed connection buffers for a slow client and says when it is too much."""

from __future__ import annotations

import socket

import pytest

from runtime.shim.connection import HIGH, Connection
from runtime.shim.loop import Loop
from runtime.wire import frames


@pytest.fixture
def ends():
    loop = Loop()
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    connection = Connection(loop, ours)
    with theirs:
        yield loop, connection, theirs
    connection.close()
    loop.close()


def read_frames(loop, sock, size):
    decoder, got = frames.Decoder(), []
    while sum(len(payload) for _, payload in got) < size:
        loop.step(0)
        got += decoder.feed(sock.recv(1 << 16))
    return got


def test_a_client_that_does_not_read_congests_the_connection_and_draining_it_is_told(ends):
    loop, connection, theirs = ends
    drained = []
    connection.on_drain = lambda: drained.append(1)
    sent = 0
    while not connection.congested:
        connection.send(frames.STDOUT, b"x" * 50_000)
        sent += 50_000
    assert connection.size > HIGH
    got = read_frames(loop, theirs, sent)
    assert b"".join(payload for _, payload in got) == b"x" * sent
    assert drained
    assert connection.size == 0
    assert connection.progress > 0


def test_finish_delivers_the_backlog_and_the_last_frame_and_then_closes(ends):
    loop, connection, theirs = ends
    closed = []
    connection.on_close = lambda: closed.append(1)
    connection.send(frames.STDOUT, b"y" * 400_000)
    connection.finish(frames.EXIT, {"ExitCode": 3})
    got = read_frames(loop, theirs, 400_000 + len(b'{"ExitCode":3}'))
    assert got[-1] == (frames.EXIT, b'{"ExitCode":3}')
    assert theirs.recv(1) == b""
    assert not closed


def test_a_client_that_goes_away_is_told_once(ends):
    loop, connection, theirs = ends
    closed = []
    connection.on_close = lambda: closed.append(1)
    theirs.close()
    loop.step(1)
    connection.send(frames.STDOUT, b"x")
    connection.close()
    assert closed == [1]


def test_a_malformed_frame_closes_the_connection(ends):
    loop, connection, theirs = ends
    theirs.sendall(b"\xff\xff\xff\xff\xff")
    loop.step(1)
    assert connection.closed


def test_a_paused_connection_delivers_nothing_until_resumed(ends):
    loop, connection, theirs = ends
    seen = []
    connection.on_frame = lambda kind, payload: seen.append((kind, payload))
    connection.pause()
    theirs.sendall(frames.encode(frames.STDIN, b"a"))
    loop.step(0)
    assert seen == []
    connection.resume()
    loop.step(1)
    assert seen == [(frames.STDIN, b"a")]

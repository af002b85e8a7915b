"""A worker's end of a client's connection, which does not block for the engine's sake."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest

from runtime.client import transfer
from runtime.client.attach import FrameStream
from runtime.errors import InvalidParameter, NotFound, Unavailable
from runtime.wire import frames
from runtime.worker.clientstream import ClientStream

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end and the worker's."""
    client, worker = socket.socketpair()
    worker.setblocking(False)
    client.settimeout(10)
    with client, worker:
        yield client, worker


def test_payload_is_read_to_the_frame_that_ends_it(pair) -> None:
    client, worker = pair
    client.sendall(frames.encode(frames.STDIN, b"hello ") + frames.encode(frames.STDIN, b"world"))
    client.sendall(frames.encode(frames.EOF))
    stream = ClientStream(worker.fileno())
    assert [stream.read(4), stream.read(4), stream.read(100), stream.read(1), stream.read(1)] == [
        b"hell", b"o ", b"world", b"", b""
    ]  # fmt: skip


def test_a_client_that_leaves_before_the_end_is_an_error(pair) -> None:
    client, worker = pair
    client.sendall(frames.encode(frames.STDIN, b"half"))
    client.close()
    stream = ClientStream(worker.fileno())
    assert stream.read(100) == b"half"
    with pytest.raises(InvalidParameter, match="the client left"):
        stream.read(100)


def test_both_ends_carry_more_than_any_buffer_holds(pair) -> None:
    client, worker = pair
    data = bytes(range(256)) * 40_000
    stream = ClientStream(worker.fileno())
    received: list[bytes] = []

    def work() -> None:
        while piece := stream.read(1 << 16):
            received.append(piece)
            # an event for every piece: a client that only sends would be stuck with us
            worker_events(b"{}" * 200)
        worker.setblocking(True)
        worker.sendall(frames.encode(frames.EXIT, b'{"ExitCode": 0}'))

    def worker_events(payload: bytes) -> None:
        stream._send(memoryview(frames.encode(frames.STDERR, b'{"status": "x", "pad": "' + payload[:300] + b'"}')))

    thread = threading.Thread(target=work)
    thread.start()
    events: list[object] = []
    pieces = (data[at : at + transfer.PIECE] for at in range(0, len(data), transfer.PIECE))
    assert transfer.send(FrameStream(client), pieces, events.append) == {"ExitCode": 0}
    thread.join(10)
    assert b"".join(received) == data
    assert events


def test_what_is_written_arrives_and_then_the_outcome(pair) -> None:
    client, worker = pair
    data = bytes(3_000_000)

    def work() -> None:
        ClientStream(worker.fileno()).write(data)
        worker.setblocking(True)
        worker.sendall(frames.encode(frames.EXIT, b'{"ExitCode": 0}'))

    thread = threading.Thread(target=work)
    thread.start()
    received: list[bytes] = []
    transfer.receive(FrameStream(client), received.append)
    thread.join(10)
    assert b"".join(received) == data


def test_an_engine_that_refuses_early_is_heard(pair) -> None:
    client, worker = pair
    worker.setblocking(True)
    worker.sendall(frames.encode(frames.ERROR, b'{"kind": "NotFound", "message": "no such thing", "fields": {}}'))
    worker.close()
    with pytest.raises(NotFound, match="no such thing"):
        transfer.send(FrameStream(client), iter([b"x" * 1000] * 1000), lambda event: None)


def test_frames_that_came_with_the_answers_head_are_not_waited_for(pair) -> None:
    client, _ = pair
    early = frames.encode(frames.STDERR, b"{}") + frames.encode(frames.EXIT, b'{"ExitCode": 0}')
    assert transfer.send(FrameStream(client, early), iter([b"x"]), lambda event: None) == {"ExitCode": 0}


def test_a_stream_that_ends_without_an_outcome_is_torn(pair) -> None:
    client, worker = pair
    worker.close()
    with pytest.raises(Unavailable, match="before it was done"):
        transfer.receive(FrameStream(client))


def test_a_writer_notices_that_its_client_left(pair) -> None:
    client, worker = pair
    client.close()
    with pytest.raises(BrokenPipeError):
        ClientStream(worker.fileno()).write(b"x")

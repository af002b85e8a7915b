"""Send an archive to the engine and receive one: payload in frames, events beside it, the outcome in the last frame.

While we send we also read: an engine whose events nobody takes would stop reading in turn.
"""

from __future__ import annotations

import json
import select
from typing import TYPE_CHECKING, Any

from runtime.client.attach import error_of
from runtime.errors import Unavailable
from runtime.wire import frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.client.attach import FrameStream

PIECE = 256 * 1024
"""Bytes of a frame's payload at most."""


def send(stream: FrameStream, pieces: Iterator[bytes], on_event: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Send `pieces` (each at most PIECE bytes) and close the stream; the outcome.

    Raises the engine's error, Unavailable when the stream breaks, and whatever `pieces` raises.
    """
    with stream.sock:
        stream.sock.setblocking(False)
        outgoing = _frames_of(pieces)
        waiting = memoryview(b"")
        sending = True
        poller = select.poll()
        while True:
            poller.register(stream.sock, select.POLLIN | (select.POLLOUT if sending else 0))
            # frames that came with the engine's first answer are in no socket any more
            ready = select.POLLIN if stream.has_pending else poller.poll()[0][1]
            if sending and ready & (select.POLLOUT | select.POLLERR):
                waiting = waiting or memoryview(next(outgoing, b""))
                sending = bool(waiting)
                try:
                    waiting = waiting[stream.sock.send(waiting) :] if waiting else waiting
                except BlockingIOError:
                    continue
                except ConnectionError:
                    sending = False  # the other side ended early: why is still to be received
            if not ready & (select.POLLIN | select.POLLHUP):
                continue
            outcome = _take(stream, on_event, None)
            if outcome is not None:
                return outcome


def receive(
    stream: FrameStream,
    write: Callable[[bytes], object] | None = None,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Hand the payload to `write` as it comes and close the stream; the outcome.

    Raises the engine's error, Unavailable when the stream breaks, and whatever `write` raises.
    """
    with stream.sock:
        while True:
            outcome = _take(stream, on_event, write)
            if outcome is not None:
                return outcome


def _frames_of(pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        yield frames.encode(frames.STDIN, piece)
    yield frames.encode(frames.EOF)


def _take(
    stream: FrameStream,
    on_event: Callable[[dict[str, Any]], None] | None,
    write: Callable[[bytes], object] | None,
) -> dict[str, Any] | None:
    """Deal with the frames that came; the outcome if it is among them."""
    try:
        received = stream.receive()
    except BlockingIOError:
        return None
    if received is None:
        raise Unavailable("engine closed the stream before it was done")
    for kind, payload in received:
        if kind == frames.ERROR:
            raise error_of(payload)
        if kind == frames.EXIT:
            outcome: dict[str, Any] = json.loads(payload)
            return outcome
        if kind == frames.STDERR and on_event is not None:
            on_event(json.loads(payload))
        elif kind == frames.STDOUT and write is not None:
            write(payload)
    return None

"""Carry files into a container and out of it: tar streams in frames, and what was done at the end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runtime.client.attach import error_of
from runtime.errors import Unavailable
from runtime.wire import frames

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from runtime.client.attach import FrameStream

PIECE = 256 * 1024
"""Bytes of a frame at most."""


def wait_started(stream: FrameStream) -> None:
    """Until the container takes files. Raises the engine's error, Unavailable when the stream ends first."""
    while (received := stream.receive()) is not None:
        for kind, payload in received:
            if kind == frames.ERROR:
                raise error_of(payload)
            if kind == frames.STARTED:
                return
    raise Unavailable("engine closed the stream before the container was there")


def send(stream: FrameStream, pieces: Iterable[bytes]) -> dict[str, Any]:
    """Send a tar stream and close; the outcome: Written, Deleted, Failed (numbers) and Failures [{Path, Error}].

    Raises the engine's error, Unavailable when the stream breaks.
    """
    with stream.sock:
        try:
            for piece in _filled(pieces):
                stream.send(frames.STDIN, piece)
            stream.send(frames.EOF)
        except Unavailable:
            pass  # the other side ended early: why is still to be received
        while (received := stream.receive()) is not None:
            for kind, payload in received:
                if kind == frames.ERROR:
                    raise error_of(payload)
                if kind == frames.EXIT:
                    outcome: dict[str, Any] = json.loads(payload)
                    return outcome
    raise Unavailable("engine closed the stream before the files were written")


def _filled(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in frames as large as may be: a tree of small files comes as three pieces a file."""
    waiting = bytearray()
    for piece in pieces:
        waiting += piece
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    if waiting:
        yield bytes(waiting)


def receive(stream: FrameStream) -> Iterator[bytes]:
    """The pieces of a tar stream; closes at its end, or when the iterator is closed.

    Raises the engine's error, Unavailable when the stream breaks.
    """
    with stream.sock:
        while (received := stream.receive()) is not None:
            for kind, payload in received:
                if kind == frames.ERROR:
                    raise error_of(payload)
                if kind == frames.EXIT:
                    return
                if kind == frames.STDOUT:
                    yield payload
    raise Unavailable("engine closed the stream before the files were read")


def looked_at(stream: FrameStream) -> dict[str, Any]:
    """What is at a path: `Path`, `Kind` (directory, file, link, device, other, or nothing), `Mode`, `Size`.

    Raises the engine's error, NotFound among them.
    """
    with stream.sock:
        while (received := stream.receive()) is not None:
            for kind, payload in received:
                if kind == frames.ERROR:
                    raise error_of(payload)
                if kind == frames.EXIT:
                    found: dict[str, Any] = json.loads(payload)["Stat"]
                    return found
    raise Unavailable("engine closed the stream before it said what is there")

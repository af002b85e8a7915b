"""Send files into a container: a tar stream made elsewhere goes out in frames, what was done comes back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runtime.client.attach import error_of
from runtime.errors import Unavailable
from runtime.wire import frames

if TYPE_CHECKING:
    from collections.abc import Iterable

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
            for piece in pieces:
                for at in range(0, len(piece), PIECE):
                    stream.send(frames.STDIN, piece[at : at + PIECE])
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

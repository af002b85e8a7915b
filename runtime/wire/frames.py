"""Frames of attach and exec streams: one type byte, four bytes of big-endian length, payload.

Pure: bytes in, frames out; the same code serves shim, engine and client.
"""

from __future__ import annotations

STDIN = 0
STDOUT = 1
STDERR = 2
RESIZE = 3
"""JSON `{"h": rows, "w": columns}`."""
SIGNAL = 4
"""A signal's name, `SIGTERM` or `TERM`."""
EOF = 5
"""Stdin is closed; no payload."""
DETACH = 6
"""The client leaves, the process stays; no payload."""
EXIT = 7
"""JSON `{"ExitCode": n}`; the last frame."""
ERROR = 8
"""JSON of EngineError.to_wire(); the last frame."""
START = 9
"""JSON request; the first frame."""
STARTED = 10
"""JSON `{"Pid": n}`."""

HEADER_SIZE = 5
MAX_PAYLOAD = 1 << 20
"""Bytes; a longer frame is malformed. Writers cut their data well below."""


def encode(kind: int, payload: bytes = b"") -> bytes:
    """One frame as bytes. Raises ValueError when the payload is above MAX_PAYLOAD."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"frame of {len(payload)} bytes is above {MAX_PAYLOAD}")
    return header(kind, len(payload)) + payload


def header(kind: int, length: int) -> bytes:
    """The five bytes before a payload of `length` bytes, for callers that write both without a copy."""
    return ((kind << 32) | length).to_bytes(HEADER_SIZE, "big")


class Decoder:
    """Incremental decoder: feed what was read, get the frames that are complete."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def pending(self) -> int:
        """Bytes of an incomplete frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Complete frames as (type, payload), oldest first. Raises ValueError on an unknown type or a long frame."""
        buffer = self._buffer
        buffer += data
        frames: list[tuple[int, bytes]] = []
        start = 0
        while len(buffer) - start >= HEADER_SIZE:
            kind = buffer[start]
            length = int.from_bytes(buffer[start + 1 : start + HEADER_SIZE], "big")
            if kind > STARTED:
                raise ValueError(f"frame type {kind} is unknown")
            if length > MAX_PAYLOAD:
                raise ValueError(f"frame of {length} bytes is above {MAX_PAYLOAD}")
            end = start + HEADER_SIZE + length
            if len(buffer) < end:
                break
            frames.append((kind, bytes(buffer[start + HEADER_SIZE : end])))
            start = end
        del buffer[:start]
        return frames

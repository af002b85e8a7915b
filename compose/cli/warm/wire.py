"""What front and server say to each other; imported by every command, so it imports nothing.

The front sends one request: fields, each after its length, with four descriptors (stdin, stdout, stderr, directory).
The server answers STALE at once and nothing else, or ACCEPTED and, when the command ended, its exit. Meanwhile the
front sends signals.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ACCEPTED = b"A"
STALE = b"X"
EXITED = b"E"
"""Followed by one byte, the exit code."""
KILLED = b"K"
"""Followed by one byte, the signal."""
SIGNAL = b"S"
"""From the front, followed by one byte."""
DESCRIPTORS = 4
MAX_REQUEST = 8 << 20
"""Bytes; execve itself takes no more."""


def socket_path(run: str, uid: int) -> str:
    """Where the warm server of a user listens, in the runtime directory of his engine."""
    return f"{run}/cli-{uid}.sock"


def encode(fields: Iterable[bytes]) -> bytes:
    """Fields as one block behind its length (4 bytes each, big-endian)."""
    body = b"".join([len(field).to_bytes(4, "big") + field for field in fields])
    return len(body).to_bytes(4, "big") + body


def decode(body: bytes) -> list[bytes]:
    """The fields of a block without its length. Raises ValueError if it is malformed."""
    fields, position = [], 0
    while position < len(body):
        size = int.from_bytes(body[position : position + 4], "big")
        field = body[position + 4 : position + 4 + size]
        if len(field) != size:
            raise ValueError("a field is short")
        fields.append(field)
        position += 4 + size
    return fields

"""Read a DNS question and write an answer: the few bytes of RFC 1035 that a resolver for containers needs.

Hand-rolled because a library costs 30 ms of import and ten times the time per query. Anything that is not one plain
question of class IN is not parsed here but forwarded, or refused, as it stands.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

A, NS, CNAME, PTR, AAAA, OPT, ANY = 1, 2, 5, 12, 28, 41, 255
CLASS_IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
UDP_LIMIT = 512
MAX_EDNS = 4096

_HEADER = struct.Struct(">HHHHHH")
_FIXED = struct.Struct(">HHIH")
_NAME_OF_QUESTION = b"\xc0\x0c"
_QR, _RD, _RA, _TC = 0x8000, 0x0100, 0x0080, 0x0200


class Question(NamedTuple):
    """A parsed query. `name` is lower-case without the final dot; `size` what the client takes over UDP."""

    name: str
    type: int
    raw: bytes
    """The question section as it came: the answer repeats it letter by letter (DNS 0x20)."""
    flags: int
    size: int
    edns: bool


def parse(query: bytes) -> Question | None:
    """The question, or None for what is not a well-formed standard query of one question of class IN."""
    if len(query) < 17:
        return None
    _, flags, questions, answers, _, additional = _HEADER.unpack_from(query)
    if flags & 0xF800 or questions != 1 or answers:
        return None
    labels = []
    position = 12
    while True:
        if position >= len(query):
            return None
        length = query[position]
        position += 1
        if length == 0:
            break
        if length > 63 or position + length > len(query) or position - 12 + length > 254:
            return None
        label = query[position : position + length]
        if b"." in label:
            return None  # would read as two labels
        labels.append(label)
        position += length
    if position + 4 > len(query):
        return None
    kind, cls = struct.unpack_from(">HH", query, position)
    if cls != CLASS_IN:
        return None
    end = position + 4
    size, edns = _edns(query, end) if additional else (UDP_LIMIT, False)
    name = b".".join(labels).decode("latin-1").lower()
    return Question(name, kind, query[12:end], flags, size, edns)


def _edns(query: bytes, position: int) -> tuple[int, bool]:
    """The size an OPT record right behind the question offers; other records there are not for us."""
    if len(query) < position + 11 or query[position] or struct.unpack_from(">H", query, position + 1)[0] != OPT:
        return UDP_LIMIT, False
    size = struct.unpack_from(">H", query, position + 3)[0]
    return min(max(size, UDP_LIMIT), MAX_EDNS), True


def answer(question: Question, records: list[bytes], rcode: int = NOERROR, *, limit: int = 0xFFFF) -> bytes:
    """The response without its two bytes of id. Beyond `limit` bytes the answer is cut and marked as truncated."""
    tail = _opt() if question.edns else b""
    room = limit - 12 - len(question.raw) - len(tail)
    fitting = []
    for record in records:
        room -= len(record)
        if room < 0:
            break
        fitting.append(record)
    flags = _QR | _RA | (question.flags & _RD) | rcode
    if len(fitting) < len(records):
        flags |= _TC
    header = _HEADER.pack(0, flags, 1, len(fitting), 0, 1 if tail else 0)
    return header[2:] + question.raw + b"".join(fitting) + tail


def refusal(query: bytes, rcode: int) -> bytes:
    """A response without a body to a query that may be malformed; empty when there is not even a header."""
    if len(query) < 12 or query[2] & 0x80:
        return b""
    flags = _QR | _RA | (int.from_bytes(query[2:4], "big") & (0x7800 | _RD)) | rcode
    question = parse(query)
    raw = question.raw if question else b""
    return query[:2] + _HEADER.pack(0, flags, 1 if raw else 0, 0, 0, 0)[2:] + raw


def address_record(address: str, ttl: int) -> bytes:
    """An A or AAAA record for the name of the question."""
    kind, family = (AAAA, socket.AF_INET6) if ":" in address else (A, socket.AF_INET)
    data = socket.inet_pton(family, address)
    return _NAME_OF_QUESTION + _FIXED.pack(kind, CLASS_IN, ttl, len(data)) + data


def pointer_record(name: str, ttl: int) -> bytes:
    """A PTR record for the name of the question."""
    data = encode_name(name)
    return _NAME_OF_QUESTION + _FIXED.pack(PTR, CLASS_IN, ttl, len(data)) + data


def encode_name(name: str) -> bytes:
    """A domain name in wire form; labels are cut at 63 bytes."""
    labels = [label.encode("latin-1", "replace")[:63] for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label for label in labels) + b"\0"


def reverse_address(name: str) -> str:
    """The address a name below in-addr.arpa or ip6.arpa asks for, or an empty string."""
    if name.endswith(".in-addr.arpa"):
        parts = name.removesuffix(".in-addr.arpa").split(".")
        if len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts):
            return ".".join(str(int(part)) for part in reversed(parts))
    elif name.endswith(".ip6.arpa"):
        nibbles = "".join(reversed(name.removesuffix(".ip6.arpa").split(".")))
        if len(nibbles) == 32 and all(nibble in "0123456789abcdef" for nibble in nibbles):
            return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(nibbles))
    return ""


def same_question(query: bytes, response: bytes) -> bool:
    """Whether `response` answers `query`: same question section, letters compared regardless of case."""
    question = parse(query)
    if question is None:
        return len(response) >= 12
    end = 12 + len(question.raw)
    return len(response) >= end and response[12:end].lower() == question.raw.lower()


def truncated(response: bytes) -> bool:
    """Whether a response says that there is more of it."""
    return len(response) > 3 and bool(response[2] & (_TC >> 8))


def rcode_of(response: bytes) -> int:
    """The response code."""
    return response[3] & 0x0F if len(response) > 3 else SERVFAIL


def _opt() -> bytes:
    return b"\0" + struct.pack(">HHIH", OPT, MAX_EDNS, 0, 0)

"""Encode, send and read netlink messages, whatever the protocol.

The kernel works through a send message by message and goes on after an error: a batch is one system call, not one
transaction. Acknowledgements wait in the socket's receive buffer, so a batch is cut before they overflow it.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from typing import TYPE_CHECKING

from runtime.errors import SyscallError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

NETLINK_ROUTE = 0
NETLINK_NETFILTER = 12

NLM_F_REQUEST = 0x001
NLM_F_ACK = 0x004
NLM_F_REPLACE = 0x100
NLM_F_EXCL = 0x200
NLM_F_CREATE = 0x400
NLM_F_APPEND = 0x800
NLM_F_DUMP = 0x300

_NLM_F_DUMP_INTR = 0x10
_NLM_F_CAPPED = 0x100
_NLM_F_ACK_TLVS = 0x200
_NLMSG_NOOP = 1
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK = 270
_NETLINK_CAP_ACK = 10
_NETLINK_EXT_ACK = 11
_NLA_F_NESTED = 0x8000
_NLA_TYPE_MASK = 0x3FFF
_ACKS_PER_SEND = 100
_RECEIVE_SIZE = 1 << 17

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_S32 = struct.Struct("=i")


class NetlinkError(SyscallError):
    """The kernel refused a message; `detail` is its own explanation, where it gives one."""

    def __init__(self, call: str, errno: int, path: str = "", detail: str = "") -> None:
        super().__init__(call, errno, path)
        self.detail = detail
        if detail:
            self.message = f"{self.message} ({detail})"
            self.args = (self.message,)


class Message:
    """One request. `what` names it in errors; an answer in `ignore` (errno values) counts as success."""

    __slots__ = ("body", "flags", "ignore", "kind", "what")

    def __init__(self, kind: int, flags: int, body: bytes, what: str, ignore: Collection[int] = ()) -> None:
        self.kind = kind
        self.flags = flags
        self.body = body
        self.what = what
        self.ignore = ignore


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute (TLV), padded to four bytes."""
    return _ATTRIBUTE.pack(len(payload) + 4, kind) + payload + bytes(-len(payload) & 3)


def nested(kind: int, *parts: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NLA_F_NESTED, b"".join(parts))


def u32(kind: int, value: int) -> bytes:
    """A 32-bit attribute in host order."""
    return attribute(kind, value.to_bytes(4, sys.byteorder))


def u8(kind: int, value: int) -> bytes:
    """An 8-bit attribute."""
    return attribute(kind, bytes((value,)))


def text(kind: int, value: str) -> bytes:
    """A NUL-terminated string attribute."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes of a message body by type, flag bits removed; a later one of the same type wins."""
    found: dict[int, bytes] = {}
    position = 0
    end = len(data)
    while position + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, position)
        if length < 4:
            break
        found[kind & _NLA_TYPE_MASK] = data[position + 4 : position + length]
        position += (length + 3) & ~3
    return found


def encode(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A whole message with its header, padded."""
    return _HEADER.pack(16 + len(body), kind, flags, sequence, 0) + body + bytes(-len(body) & 3)


def messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Split what was received into (type, flags, sequence, body)."""
    position = 0
    while position + 16 <= len(data):
        length, kind, flags, sequence, _ = _HEADER.unpack_from(data, position)
        if length < 16:
            return
        yield kind, flags, sequence, data[position + 16 : position + length]
        position += (length + 3) & ~3


class Netlink:
    """A netlink socket. It belongs to the network namespace it was opened in, for ever. Not for two threads at once."""

    def __init__(self, protocol: int, fd: int | None = None) -> None:
        """Open a socket in the caller's network namespace, or own `fd`, one that was opened elsewhere."""
        if fd is None:
            self.sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
            self.sock.bind((0, 0))
            self.sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
            self.sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
        else:
            self.sock = socket.socket(fileno=fd)
        # an answer to a former owner of an inherited socket must not be taken for ours
        self._sequence = int.from_bytes(os.urandom(3), "big") << 6

    def fileno(self) -> int:
        return self.sock.fileno()

    def close(self) -> None:
        self.sock.close()

    def _next(self) -> int:
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        return self._sequence

    def run(self, batch: Sequence[Message]) -> None:
        """Carry out all messages, in order, in as few sends as possible.

        All are tried; the first refusal that its message does not ignore is raised as NetlinkError.
        """
        failure: NetlinkError | None = None
        for start in range(0, len(batch), _ACKS_PER_SEND):
            error = self._run_some(batch[start : start + _ACKS_PER_SEND])
            failure = failure or error
        if failure is not None:
            raise failure

    def _run_some(self, batch: Sequence[Message]) -> NetlinkError | None:
        pending: dict[int, Message] = {}
        parts = []
        for message in batch:
            sequence = self._next()
            pending[sequence] = message
            parts.append(encode(message.kind, message.flags | NLM_F_REQUEST | NLM_F_ACK, sequence, message.body))
        self.sock.send(b"".join(parts))
        first: NetlinkError | None = None
        while pending:
            for kind, flags, sequence, body in messages(self.sock.recv(_RECEIVE_SIZE)):
                if kind != _NLMSG_ERROR or sequence not in pending:
                    continue
                message = pending.pop(sequence)
                code = -_S32.unpack_from(body)[0]
                if code and code not in message.ignore and first is None:
                    first = NetlinkError("netlink", code, message.what, explanation(flags, body))
        return first

    def ask(self, kind: int, flags: int, body: bytes, what: str) -> list[tuple[int, bytes]]:
        """The answers to one request, as (type, body): one, or all of a dump (`flags` with NLM_F_DUMP).

        A dump that changed under our hands is asked for again.
        """
        while True:
            answers, interrupted = self._ask(kind, flags, body, what)
            if not interrupted:
                return answers

    def _ask(self, kind: int, flags: int, body: bytes, what: str) -> tuple[list[tuple[int, bytes]], bool]:
        dump = flags & NLM_F_DUMP == NLM_F_DUMP
        sequence = self._next()
        self.sock.send(encode(kind, flags | NLM_F_REQUEST, sequence, body))
        answers: list[tuple[int, bytes]] = []
        interrupted = False
        while True:
            for answer, answer_flags, number, payload in messages(self.sock.recv(_RECEIVE_SIZE)):
                if number != sequence or answer == _NLMSG_NOOP:
                    continue
                interrupted = interrupted or bool(answer_flags & _NLM_F_DUMP_INTR)
                if answer in (_NLMSG_DONE, _NLMSG_ERROR):
                    code = -_S32.unpack_from(payload)[0] if len(payload) >= 4 else 0
                    if code == errno.EINTR:
                        return [], True
                    if code:
                        raise NetlinkError("netlink", code, what, explanation(answer_flags, payload))
                    return answers, interrupted
                answers.append((answer, payload))
                if not dump:
                    return answers, False


def explanation(flags: int, body: bytes) -> str:
    """The kernel's own words in an error message (extended acknowledgement), or an empty string."""
    if not flags & _NLM_F_ACK_TLVS:
        return ""
    skip = 20
    if not flags & _NLM_F_CAPPED:
        # without NETLINK_CAP_ACK the whole request is echoed between the error code and the attributes
        skip = 4 + ((int.from_bytes(body[4:8], sys.byteorder) + 3) & ~3)
    return attributes(body[skip:]).get(_NLMSGERR_ATTR_MSG, b"").rstrip(b"\0").decode(errors="replace").lower()

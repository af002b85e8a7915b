"""One JSON object and its file descriptors per SOCK_SEQPACKET message.

A message above the socket buffer fails with EMSGSIZE, so long payloads travel as a sealed memfd, the last descriptor.
"""

from __future__ import annotations

import array
import fcntl
import json
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    Socket = _socket.socket  # what socket.socket derives from: a shim has no more than that

INLINE_LIMIT = 64 * 1024
"""Bytes of JSON above which a message goes as a memfd."""

MAX_FDS = 252
"""SCM_MAX_FD is 253; one is left for the memfd."""

# json.dumps and json.loads make or look for these on every call.
_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().raw_decode

_IN_MEMFD = b"@"
_FD_SIZE = array.array("i").itemsize
_ANCILLARY = socket.CMSG_SPACE((MAX_FDS + 1) * _FD_SIZE)
# Plain numbers: an operation on the enumeration's members costs a waiting shim pages, and everybody time.
_CLOEXEC = int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_NOSIGNAL = int(socket.MSG_NOSIGNAL)
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected SEQPACKET sockets, not inheritable."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(sock: Socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send `message` with copies of `fds`; the caller keeps its own. Raises OSError, BlockingIOError when non-blocking."""
    send_encoded(sock, _encode(message).encode(), fds)


def send_encoded(sock: Socket, payload: bytes, fds: Sequence[int] = ()) -> None:
    """As send, of a message that is JSON already."""
    if len(fds) > MAX_FDS:
        raise ValueError(f"{len(fds)} descriptors in one message, at most {MAX_FDS}")
    if len(payload) <= INLINE_LIMIT:
        _sendmsg(sock, payload, fds)
        return
    memfd = _sealed(payload)
    try:
        _sendmsg(sock, _IN_MEMFD, [*fds, memfd])
    finally:
        os.close(memfd)


def recv(sock: Socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and its descriptors (close-on-exec, now the caller's).

    Raises EOFError when the peer is gone, ValueError for a malformed message, OSError (BlockingIOError when
    non-blocking and nothing is there).
    """
    try:
        payload, ancillary, flags, _ = sock.recvmsg(INLINE_LIMIT, _ANCILLARY, _CLOEXEC)
    except ConnectionResetError:
        raise EOFError from None
    fds = _descriptors(ancillary)
    if not payload and not fds:
        raise EOFError
    try:
        return _parse(payload, flags, fds), fds
    except BaseException:
        close_all(fds)
        raise


def close_all(fds: Sequence[int]) -> None:
    """Close every descriptor; one that is closed already is passed over."""
    for fd in fds:
        try:
            os.close(fd)
        except OSError:
            pass


def _parse(payload: bytes, flags: int, fds: list[int]) -> dict[str, Any]:
    if flags & _TRUNCATED:
        raise ValueError("seqpacket message was truncated")
    text = (_take_memfd(fds) if payload == _IN_MEMFD else payload).decode()
    message, end = _decode(text)
    if end != len(text) or not isinstance(message, dict):
        raise ValueError("seqpacket message is not an object")
    return message


def _sendmsg(sock: Socket, payload: bytes, fds: Sequence[int]) -> None:
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([payload], ancillary, _NOSIGNAL)


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            found.frombytes(data[: len(data) - len(data) % _FD_SIZE])
    return found.tolist()


def _sealed(payload: bytes) -> int:
    memfd = os.memfd_create("message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(payload)
        while view:
            view = view[os.write(memfd, view) :]
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(memfd)
        raise
    return memfd


def _take_memfd(fds: list[int]) -> bytes:
    if not fds:
        raise ValueError("seqpacket message lacks its memfd")
    memfd = fds.pop()
    try:
        size = os.fstat(memfd).st_size
        chunks = []
        offset = 0
        while offset < size:
            chunk = os.pread(memfd, size - offset, offset)
            if not chunk:
                raise ValueError("seqpacket memfd is short")
            chunks.append(chunk)
            offset += len(chunk)
        return b"".join(chunks)
    finally:
        os.close(memfd)

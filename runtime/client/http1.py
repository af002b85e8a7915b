"""Speak HTTP/1.1 over a unix socket, blocking, with nothing but `socket`.

http.client costs 20-30 ms of import (email, ssl) which is more than a whole request; the engine is the only peer, so
what is understood here is what it sends: Content-Length, chunked, and 101 with the connection handed over.
"""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, SystemFailure, Unavailable, from_wire
from runtime.wire import unixsocket

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BLOCK = 1 << 16
MAX_HEAD = 1 << 16


class Body:
    """Decode a response body incrementally; `done` once its end was seen."""

    def __init__(self, headers: Mapping[str, str], status: int) -> None:
        self.done = False
        self._buffer = b""
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = headers.get("content-length")
        self._remaining: int | None = None if self._chunked or length is None else int(length)
        self._in_chunk = 0
        self._state = "size"
        if status in (204, 304) or 100 <= status < 200 or self._remaining == 0:
            self.done = True

    def feed(self, data: bytes) -> bytes:
        """The payload that `data` completes; empty when more is needed."""
        if self._chunked:
            return self._feed_chunked(data)
        if self._remaining is None:
            return data
        payload = data[: self._remaining]
        self._remaining -= len(payload)
        self.done = self._remaining == 0
        return payload

    def end_of_stream(self) -> None:
        """The peer closed: fine without a declared length, a torn answer otherwise (Unavailable)."""
        if not self.done and (self._chunked or self._remaining is not None):
            raise Unavailable("engine closed the connection in the middle of an answer")
        self.done = True

    def _feed_chunked(self, data: bytes) -> bytes:
        buffer = self._buffer + data
        pieces: list[bytes] = []
        position = 0
        while not self.done:
            if self._state == "data":
                piece = buffer[position : position + self._in_chunk]
                if not piece:
                    break
                pieces.append(piece)
                position += len(piece)
                self._in_chunk -= len(piece)
                if not self._in_chunk:
                    self._state = "after"
                continue
            end = buffer.find(b"\r\n", position)
            if end < 0:
                break
            line, position = buffer[position:end], end + 2
            if self._state == "after":
                self._state = "size"
            elif self._state == "size":
                self._in_chunk = int(line.split(b";", 1)[0], 16)
                self._state = "data" if self._in_chunk else "trailer"
            elif not line:
                self.done = True
        self._buffer = buffer[position:]
        return b"".join(pieces)


class Response:
    """An answer whose head was read; the body is read by `read`, `lines`, `available` or taken over by `detach`."""

    def __init__(self, sock: socket.socket, status: int, headers: dict[str, str], rest: bytes) -> None:
        self.status = status
        self.headers = headers
        self._sock = sock
        self._rest = rest
        self._body = Body(headers, status)
        self.reusable = "close" not in headers.get("connection", "").lower()

    def fileno(self) -> int:
        """For select: readable when `available` may return something."""
        return self._sock.fileno()

    @property
    def done(self) -> bool:
        """Whether the whole body was read."""
        return self._body.done

    def pieces(self) -> Iterator[bytes]:
        """Payload as it arrives, until the end; raises Unavailable when the answer is torn."""
        while not self._body.done or self._rest:
            data, self._rest = self._rest, b""
            if not data:
                data = _receive(self._sock)
                if not data:
                    self._body.end_of_stream()
                    return
            payload = self._body.feed(data)
            if payload:
                yield payload
            if self._body.done:
                return

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.pieces())

    def lines(self) -> Iterator[bytes]:
        """Newline-delimited payload, a line at a time, without its newline; empty lines are skipped."""
        rest = b""
        for piece in self.pieces():
            *complete, rest = (rest + piece).split(b"\n")
            for line in complete:
                if line:
                    yield line
        if rest:
            yield rest

    def available(self) -> bytes | None:
        """What has arrived by now without waiting: empty for nothing yet, None at the end of the answer."""
        if self._rest:
            data, self._rest = self._rest, b""
            return self._body.feed(data)
        if self._body.done:
            return None
        try:
            data = self._sock.recv(BLOCK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return b""
        except ConnectionError:
            data = b""
        if not data:
            self._body.done = True
            return None
        return self._body.feed(data)

    def detach(self) -> tuple[socket.socket, bytes]:
        """The connection after a 101 and what was already read of it; the caller owns the socket now."""
        rest, self._rest = self._rest, b""
        return self._sock, rest

    def shut_down(self) -> None:
        """End the connection while another thread reads from it: that one sees a torn answer."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # closed already

    def close(self) -> None:
        """Close the connection (a plan's operations not begun are cancelled by that)."""
        self._sock.close()


def request(
    sock: socket.socket, method: str, target: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """Send a request and read the head of its answer; raises Unavailable when the engine goes away meanwhile."""
    lines = [f"{method} {target} HTTP/1.1", "Host: engine"]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    elif method not in ("GET", "HEAD"):
        lines.append("Content-Length: 0")
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
    try:
        sock.sendall(head + (body or b""))
    except ConnectionError as error:
        raise Unavailable("engine closed the connection") from error
    return _read_head(sock)


def _read_head(sock: socket.socket) -> Response:
    buffer = b""
    while True:
        end = buffer.find(b"\r\n\r\n")
        if end >= 0:
            break
        data = _receive(sock)
        if not data or len(buffer) > MAX_HEAD:
            raise Unavailable("engine closed the connection before it answered")
        buffer += data
    status_line, *header_lines = buffer[:end].decode("latin-1").split("\r\n")
    parts = status_line.split(" ", 2)
    if len(parts) < 2 or not parts[1].isdigit():
        raise Unavailable(f"engine sent no HTTP answer: {status_line[:80]!r}")
    headers: dict[str, str] = {}
    for line in header_lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    return Response(sock, int(parts[1]), headers, buffer[end + 4 :])


def _receive(sock: socket.socket) -> bytes:
    try:
        return sock.recv(BLOCK)
    except ConnectionError:
        return b""
    except TimeoutError as error:
        raise Unavailable("engine did not answer in time") from error


def request_json(path: str, method: str, target: str, body: object = None) -> Any:
    """One request on a connection of its own, JSON both ways. Raises OSError and the error that was answered."""
    data = None if body is None else json.dumps(body).encode()
    with unixsocket.connect(path) as sock:
        response = request(sock, method, target, data, {"Connection": "close"})
        payload = response.read()
    if response.status >= 400:
        raise error_of(response.status, payload)
    return json.loads(payload) if payload else None


def error_of(status: int, payload: bytes) -> EngineError:
    """The error in an answer of status 400 and above."""
    try:
        return from_wire(json.loads(payload))
    except (ValueError, AttributeError, TypeError):
        return SystemFailure(f"engine answered {status}: {payload[:200].decode('utf-8', 'replace')}")

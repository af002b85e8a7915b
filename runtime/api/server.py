"""HTTP/1.1 on the engine's socket: requests in, JSON or a stream out, hijack on upgrade.

One task a connection. h11 keeps the protocol; a handler gets a Request and answers through it exactly once: with JSON,
with a chunked stream, or by taking the connection over (101).
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

import h11

from runtime.engine.log import log
from runtime.errors import EngineError, InvalidParameter, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

STATUS = {
    "NotFound": 404,
    "Conflict": 409,
    "InvalidParameter": 400,
    "Forbidden": 403,
    "Unavailable": 503,
    "NotSupported": 501,
    "SystemFailure": 500,
}
MAX_BODY = 64 << 20
"""Bytes; a plan of a thousand services is about 4 MB."""
READ_SIZE = 65536


class Request:
    """One request and its answer."""

    def __init__(self, connection: Connection, head: h11.Request, body: bytes) -> None:
        target = urlsplit(head.target.decode("ascii"))
        self.method = head.method.decode("ascii")
        self.path = unquote(target.path)
        self.query = parse_qs(target.query, keep_blank_values=True)
        self.headers = {name.decode("ascii").lower(): value.decode("latin-1") for name, value in head.headers}
        self.body = body
        self.parts: tuple[str, ...] = ()
        """What the route's placeholders matched."""
        self.connection = connection
        self.answered = False

    def json(self) -> Any:
        """The body as JSON; raises InvalidParameter if it is none."""
        try:
            return json.loads(self.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise InvalidParameter(f"request body is not JSON: {error}") from None

    def flag(self, name: str) -> bool:
        """A boolean parameter by Docker's rule: absent, empty, 0, no, false and none are false."""
        value = self.query.get(name, [""])[-1].lower()
        return value not in {"", "0", "no", "false", "none"}

    def text(self, name: str, default: str = "") -> str:
        return self.query.get(name, [default])[-1]

    async def reply(self, data: Any, status: int = 200) -> None:
        self.answered = True
        payload = json.dumps(data).encode()
        await self.connection.send(
            h11.Response(
                status_code=status,
                headers=[("Content-Type", "application/json"), ("Content-Length", str(len(payload)))],
            ),
            h11.Data(data=payload),
            h11.EndOfMessage(),
        )

    async def reply_text(self, text: str) -> None:
        self.answered = True
        payload = text.encode("utf-8", "replace")
        await self.connection.send(
            h11.Response(
                status_code=200,
                headers=[("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(payload)))],
            ),
            h11.Data(data=payload),
            h11.EndOfMessage(),
        )

    async def begin_stream(self, content_type: str = "application/x-ndjson") -> None:
        """Send the head at once; the body follows with `write`, `write_json` and ends with `end_stream`."""
        self.answered = True
        await self.connection.send(
            h11.Response(status_code=200, headers=[("Content-Type", content_type), ("Transfer-Encoding", "chunked")])
        )

    async def write(self, data: bytes) -> None:
        await self.connection.send(h11.Data(data=data))

    async def write_json(self, item: Any) -> None:
        await self.write(json.dumps(item).encode() + b"\n")

    async def end_stream(self) -> None:
        await self.connection.send(h11.EndOfMessage())

    async def hijack(self, protocol: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        """Answer 101 and hand the raw connection over, with what the client sent already."""
        self.answered = True
        return await self.connection.hijack(protocol)


class Connection:
    """One client connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
        self.hijacked = False
        self.watched = False
        """Somebody reads the connection to see the client leave: it cannot carry another request."""

    async def serve(self, handler: Callable[[Request], Awaitable[None]]) -> None:
        """Answer requests until the client leaves."""
        try:
            while not self.hijacked:
                request = await self._next_request()
                if request is None:
                    return
                await _answer(request, handler)
                if self.hijacked or self.watched or self.protocol.our_state is not h11.DONE:
                    return
                if self.protocol.their_state is not h11.DONE:
                    return
                self.protocol.start_next_cycle()
        except (ConnectionError, h11.LocalProtocolError):
            return
        except h11.RemoteProtocolError as error:
            log.warning("a client does not speak HTTP: %.100s", error)
        finally:
            self.writer.close()

    async def send(self, *events: h11.Event) -> None:
        data = b"".join(self.protocol.send(event) or b"" for event in events)
        self.writer.write(data)
        await self.writer.drain()

    async def hijack(self, protocol: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]:
        self.hijacked = True
        await self.send(
            h11.InformationalResponse(status_code=101, headers=[("Connection", "Upgrade"), ("Upgrade", protocol)])
        )
        early, _ = self.protocol.trailing_data
        return self.reader, self.writer, early

    async def wait_closed_by_client(self) -> None:
        """Return when the client closed its end; what it sends meanwhile is dropped."""
        self.watched = True
        while True:
            try:
                data = await self.reader.read(READ_SIZE)
            except ConnectionError:
                return
            if not data:
                return

    async def _next_request(self) -> Request | None:
        head: h11.Request | None = None
        body: list[bytes] = []
        size = 0
        while True:
            event = self.protocol.next_event()
            if event is h11.NEED_DATA:
                data = await self.reader.read(READ_SIZE)
                self.protocol.receive_data(data)
                if not data and head is None:
                    return None
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                size += len(event.data)
                if size > MAX_BODY:
                    raise ConnectionError("request body too large")
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return Request(self, head, b"".join(body))
            else:  # PAUSED or ConnectionClosed
                return None


async def _answer(request: Request, handler: Callable[[Request], Awaitable[None]]) -> None:
    try:
        await handler(request)
    except EngineError as error:
        await _reply_error(request, error)
    except (ConnectionError, asyncio.CancelledError):
        raise
    except Exception as error:  # the edge of the API: a fault becomes an answer and a line in the log
        log.exception("%s %s", request.method, request.path)
        await _reply_error(request, SystemFailure(f"{request.method} {request.path}: {error!r}"))


async def _reply_error(request: Request, error: EngineError) -> None:
    if request.answered:
        log.error("%s %s failed after its answer began: %s", request.method, request.path, error)
        request.connection.writer.close()
        return
    await request.reply(error.to_wire(), STATUS[error.kind])

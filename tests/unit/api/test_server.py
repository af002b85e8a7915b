"""HTTP on a unix socket: errors by kind, streams, upgrade, several requests on one connection."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from runtime.api.router import dispatcher
from runtime.api.server import Connection, Request
from runtime.errors import Conflict, EngineError, InvalidParameter, NotFound, SystemFailure, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from runtime.engine.engine import Engine


def talk(tmp_path: Path, handler: Callable[[Request], Awaitable[None]], sent: bytes) -> bytes:
    """What a server with this handler answers to these bytes, until it closes."""

    async def main() -> bytes:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await Connection(reader, writer).serve(handler)

        path = str(tmp_path / "s")
        server = await asyncio.start_unix_server(serve, path)
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(sent)
        writer.write_eof()
        data = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        server.close()
        return data

    return asyncio.run(main())


def get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def body_of(answer: bytes) -> Any:
    return json.loads(answer.partition(b"\r\n\r\n")[2])


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotFound, 404), (Conflict, 409), (InvalidParameter, 400), (Unavailable, 503), (SystemFailure, 500)],
)
def test_an_error_kind_has_its_status_and_travels_whole(tmp_path: Path, error: type[EngineError], status: int) -> None:
    async def handler(request: Request) -> None:
        raise error("container x: no", name="x")

    answer = talk(tmp_path, handler, get("/"))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert body_of(answer) == {"kind": error.kind, "message": "container x: no", "fields": {"name": "x"}}


def test_a_fault_of_a_handler_is_an_answer_not_a_dead_connection(tmp_path: Path) -> None:
    async def handler(request: Request) -> None:
        raise ZeroDivisionError

    assert talk(tmp_path, handler, get("/")).startswith(b"HTTP/1.1 500 ")


def test_path_and_query_are_decoded(tmp_path: Path) -> None:
    async def handler(request: Request) -> None:
        await request.reply(
            [request.path, request.query, request.flag("all"), request.flag("none"), request.flag("zero")]
        )

    answer = talk(tmp_path, handler, get("/a%20b?x=1&x=2&all=True&zero=0"))
    assert body_of(answer) == ["/a b", {"x": ["1", "2"], "all": ["True"], "zero": ["0"]}, True, False, False]


def test_one_connection_carries_several_requests(tmp_path: Path) -> None:
    async def handler(request: Request) -> None:
        await request.reply(request.path)

    answer = talk(tmp_path, handler, get("/1") + get("/2"))
    assert answer.count(b"HTTP/1.1 200") == 2


def test_a_stream_is_chunked_and_ends(tmp_path: Path) -> None:
    async def handler(request: Request) -> None:
        await request.begin_stream()
        await request.write_json({"n": 1})
        await request.write_json({"n": 2})
        await request.end_stream()

    answer = talk(tmp_path, handler, get("/"))
    assert b"transfer-encoding: chunked" in answer.lower()
    assert answer.endswith(b"0\r\n\r\n")


def test_an_upgrade_hands_the_connection_over_with_what_came_early(tmp_path: Path) -> None:
    async def handler(request: Request) -> None:
        reader, writer, early = await request.hijack("pycompose-frames")
        writer.write(b"got " + early + await reader.read())
        await writer.drain()

    sent = get("/", "Connection: Upgrade", "Upgrade: pycompose-frames") + b"early"
    answer = talk(tmp_path, handler, sent)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert answer.endswith(b"got early")


def test_what_is_not_http_is_dropped(tmp_path: Path) -> None:
    async def handler(request: Request) -> None:
        await request.reply(1)

    assert talk(tmp_path, handler, b"\x00\x01garbage\r\n\r\n") == b""


def test_of_what_is_not_http_the_log_keeps_the_beginning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Request) -> None:
        await request.reply(1)

    talk(tmp_path, handler, b"\x00" * 50_000 + b"\r\n\r\n")
    assert "does not speak HTTP" in caplog.text
    assert len(caplog.text) < 300


def test_a_path_of_any_length_is_answered_in_few_words(tmp_path: Path) -> None:
    answer = talk(tmp_path, dispatcher(cast("Engine", None)), get("/" + "x" * 200_000))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert body_of(answer)["message"] == "path of the request has 200001 characters: at most 4096"

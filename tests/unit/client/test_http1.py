"""HTTP/1.1 as the engine speaks it."""

from __future__ import annotations

import pytest

from runtime.client import http1
from runtime.client.http1 import Body
from runtime.errors import NotFound, Unavailable

CHUNKED = {"transfer-encoding": "chunked"}


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
def test_a_chunked_body_is_decoded_however_it_is_cut(step: int) -> None:
    wire = b"5\r\nhello\r\n1;ext=1\r\n \r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: x\r\n\r\n"
    body = Body(CHUNKED, 200)
    payload = b"".join(body.feed(wire[at : at + step]) for at in range(0, len(wire), step))
    assert payload == b"hello 0123456789abcdef"
    assert body.done


def test_a_body_with_a_length_ends_there() -> None:
    body = Body({"content-length": "3"}, 200)
    assert body.feed(b"ab") == b"ab"
    assert not body.done
    assert body.feed(b"cX") == b"c"
    assert body.done


def test_a_torn_answer_is_an_error_and_an_open_ended_one_is_not() -> None:
    torn = Body(CHUNKED, 200)
    torn.feed(b"5\r\nhe")
    with pytest.raises(Unavailable):
        torn.end_of_stream()
    open_ended = Body({}, 200)
    open_ended.feed(b"all")
    open_ended.end_of_stream()
    assert open_ended.done


def test_an_answer_without_a_body_is_done_at_once() -> None:
    assert Body({"content-length": "0"}, 200).done
    assert Body({}, 101).done


def test_request_json_gives_the_data_or_raises_the_answered_error(engine) -> None:
    engine.routes["POST /v1/echo"] = lambda exchange: exchange.reply(exchange.json())
    path = engine.paths.engine_socket
    assert http1.request_json(path, "POST", "/v1/echo", {"a": [1]}) == {"a": [1]}
    with pytest.raises(NotFound, match="no such endpoint"):
        http1.request_json(path, "GET", "/v1/nothing")

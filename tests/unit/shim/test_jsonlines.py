"""Log records are valid JSON for any bytes, and say what was written."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.shim.jsonlines import LIMIT, Formatter

TIME = "2025-01-31T12:00:00.000000001Z"

NASTY = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.sampled_from(
            [b"\n", b"\\n", b'"', b"\x7f", b"\x00", b"\xff", "é€🎉".encode(), b"\r\n", b"<>&", b"\\", b"x" * 17000]
        ),
    ),
    max_size=12,
)


def records(chunks):
    formatter = Formatter("stderr")
    out = b"".join(formatter.feed(chunk, TIME) for chunk in chunks) + formatter.finish(TIME)
    assert not out or out.endswith(b"\n")
    return [json.loads(line) for line in out.split(b"\n")[:-1]]


@given(NASTY)
def test_the_records_joined_are_the_bytes_written_with_invalid_utf8_replaced(chunks):
    got = records(chunks)
    assert all(set(record) == {"log", "stream", "time"} for record in got)
    joined = "".join(record["log"] for record in got)
    data = b"".join(chunks)
    # An invalid sequence may be cut by a record's end and then counts as two: compare what is valid.
    assert joined.replace("\ufffd", "") == data.decode("utf-8", "replace").replace("\ufffd", "")


@given(NASTY)
def test_a_record_ends_with_its_newline_or_is_partial_and_full(chunks):
    for record in records(chunks)[:-1]:
        assert record["log"].endswith("\n") or len(record["log"].encode("utf-8", "surrogatepass")) >= LIMIT - 3
        assert "\n" not in record["log"][:-1]


@pytest.mark.parametrize(
    ("chunks", "logs"),
    [
        ([b"a\nb\n"], ["a\n", "b\n"]),
        ([b"a", b"b", b"\n"], ["ab\n"]),
        ([b"no newline"], ["no newline"]),
        ([b"\n\n"], ["\n", "\n"]),
        ([b""], []),
        ([b'say "hi" \\n\n'], ['say "hi" \\n\n']),
        ([b"\xff\xfe\n"], ["\ufffd\ufffd\n"]),
        ([b"del \x7f and \x01\n"], ["del \x7f and \x01\n"]),
        (["ä".encode()[:1], "ä".encode()[1:] + b"\n"], ["ä\n"]),
        ([b"x" * 40000 + b"\n"], ["x" * LIMIT, "x" * LIMIT, "x" * (40000 - 2 * LIMIT) + "\n"]),
        ([b"x" * LIMIT + b"\n"], ["x" * LIMIT, "\n"]),
        ([b"a\n" + b"y" * LIMIT], ["a\n", "y" * LIMIT]),
        ([b"a" + "é".encode() * 8192 + b"\n"], ["a" + "é" * 8191, "é\n"]),
    ],
)
def test_lines_are_cut_as_docker_cuts_them(chunks, logs):
    assert [record["log"] for record in records(chunks)] == logs


def test_stream_and_time_are_in_every_record():
    line = Formatter("stdout").feed(b"a\n", TIME)
    assert line == b'{"log":"a\\n","stream":"stdout","time":"2025-01-31T12:00:00.000000001Z"}\n'


def test_an_endless_line_keeps_less_than_a_record_in_memory():
    formatter = Formatter("stdout")
    for _ in range(100):
        formatter.feed(b"z" * 10_000, TIME)
    assert len(formatter._carry) < LIMIT

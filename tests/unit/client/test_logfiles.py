"""json-file logs: tail, since, rotation, following, merging and decoding."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from runtime.client import logfiles, logrecords

if TYPE_CHECKING:
    from pathlib import Path


def record(text: str, second: int = 0, stream: str = "stdout") -> bytes:
    data = {"log": text, "stream": stream, "time": f"2026-01-01T00:00:{second:02d}.5Z"}
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def write(path: Path, *records: bytes) -> str:
    path.write_bytes(b"".join(records))
    return str(path)


def read(path: str, **options) -> bytes:
    return b"".join(logrecords.text(block) for block in logfiles.read(path, **options))


def test_rotated_files_are_read_oldest_first(tmp_path) -> None:
    write(tmp_path / "log.2", record("a\n"))
    write(tmp_path / "log.1", record("b\n"))
    assert read(write(tmp_path / "log", record("c\n"))) == b"a\nb\nc\n"


def test_a_missing_log_is_empty_and_an_unfinished_line_is_not_shown(tmp_path) -> None:
    assert read(str(tmp_path / "none")) == b""
    assert read(write(tmp_path / "log", record("a\n"), b'{"log":"b')) == b"a\n"


@pytest.mark.parametrize("wanted", [0, 1, 2, 3, 4, 5, 6, 99])
def test_tail_counts_lines_from_the_end_across_files(tmp_path, wanted: int) -> None:
    write(tmp_path / "log.1", *(record(f"{number}\n") for number in range(3)))
    path = write(tmp_path / "log", *(record(f"{number}\n") for number in range(3, 6)), b'{"log":"torn')
    expected = "".join(f"{number}\n" for number in range(max(6 - wanted, 0), 6))
    assert read(path, tail=wanted) == expected.encode()


def test_tail_of_lines_longer_than_a_read(tmp_path) -> None:
    long = "x" * 200_000 + "\n"
    path = write(tmp_path / "log", record("first\n"), record(long), record("last\n"))
    assert read(path, tail=2) == long.encode() + b"last\n"


def test_since_and_until_bound_by_time(tmp_path) -> None:
    write(tmp_path / "log.1", *(record(f"{second}\n", second) for second in range(5)))
    path = write(tmp_path / "log", *(record(f"{second}\n", second) for second in range(5, 10)))
    assert read(path, since="2026-01-01T00:00:03.5", until="2026-01-01T00:00:06.5") == b"3\n4\n5\n6\n"
    assert read(path, since="2026-01-01T00:00:08") == b"8\n9\n"
    assert read(path, since="2026-01-01T00:00:03", tail=2) == b"8\n9\n"
    assert read(path, since="2027") == b""


def test_following_goes_on_over_rotation_without_a_loss(tmp_path) -> None:
    log = tmp_path / "log"
    write(log, record("1\n"))
    follower = logfiles.Follower(str(log))
    assert logrecords.text(follower.read()) == b"1\n"
    assert follower.read() == b""
    with log.open("ab") as file:
        file.write(record("2\n"))
        os.rename(log, tmp_path / "log.1")
        file.write(record("3\n"))
    write(log, record("4\n")[:10])
    assert logrecords.text(follower.read()) == b"2\n3\n"
    with log.open("ab") as file:
        file.write(record("4\n")[10:])
    assert logrecords.text(follower.read()) == b"4\n"
    follower.close()


def test_following_over_two_rotations_at_once(tmp_path) -> None:
    log = tmp_path / "log"
    write(log, record("1\n"))
    follower = logfiles.Follower(str(log))
    follower.read()
    os.rename(log, tmp_path / "log.2")
    write(tmp_path / "log.1", record("2\n"))
    write(log, record("3\n"))
    assert logrecords.text(follower.read()) == b"2\n3\n"
    follower.close()


def test_following_starts_at_a_tail_and_waits_for_a_log_that_is_not_there_yet(tmp_path) -> None:
    log = tmp_path / "log"
    early = logfiles.Follower(str(log))
    assert early.read() == b""
    write(log, record("1\n"), record("2\n"), record("3\n"))
    assert logrecords.text(early.read()) == b"1\n2\n3\n"
    late = logfiles.Follower(str(log), tail=1)
    assert logrecords.text(late.read()) == b"3\n"
    early.close()
    late.close()


def test_merge_orders_by_time_and_keeps_each_logs_order(tmp_path) -> None:
    a = write(tmp_path / "a", record("a1\n", 1), record("a3\n", 3), record("a3b\n", 3), record("a9\n", 9))
    b = write(tmp_path / "b", record("b2\n", 2), record("b3\n", 3), record("b4\n", 4), record("b5\n", 5))
    merged = list(logfiles.merge([logfiles.read(a), logfiles.read(b), iter(())]))
    assert b"".join(logrecords.text(block) for _, block in merged) == b"a1\nb2\na3\na3b\nb3\nb4\nb5\na9\n"
    assert [index for index, _ in merged] == [0, 1, 0, 1, 0]


TEXTS = [
    "plain\n",
    'quotes " and \\ and \t tab\n',
    "literal \\n inside\n",
    "ends in a backslash \\\n",
    "no newline",
    "ünïcödé ✔ 𝄞\n",
    "\u2028 \x00 \x1b[31m\n",
    '","stream":"stdout","time":"x"}\n',
    "\n",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
def test_every_text_comes_back_as_it_was_written(text: str) -> None:
    assert logrecords.text(record(text)) == text.encode()
    block = record("before\n") + record(text) + record("after\n")
    assert logrecords.text(block) == f"before\n{text}after\n".encode()
    assert b"".join(part for _, _, part in logrecords.records(block)) == logrecords.text(block)


def test_the_prefix_stands_before_each_line_and_split_lines_are_joined() -> None:
    block = record("one ") + record("line\n") + record("two\n")
    assert logrecords.text(block, b"p| ") == b"p| one line\np| two\n"
    plain = record("a\n") + record("b\n")
    assert logrecords.text(plain, b"p| ") == b"p| a\np| b\n"


def test_records_of_another_writer_are_read_too() -> None:
    other = b'{"log":"a\\n","stream":"stdout","attrs":{"x":"y"},"time":"t"}\n' + record("b\n")
    assert logrecords.text(other) == b"a\nb\n"
    assert list(logrecords.records(b"garbage\n")) == []


def test_streams_are_told_apart_in_order() -> None:
    block = record("o\n") + record("e\n", stream="stderr") + record("e2\n", stream="stderr") + record("o2\n")
    runs = [(stream, logrecords.text(part)) for stream, part in logrecords.split_streams(block)]
    assert runs == [("stdout", b"o\n"), ("stderr", b"e\ne2\n"), ("stdout", b"o2\n")]


@pytest.mark.parametrize("text", [text for text in TEXTS if text.endswith("\n")])
def test_times_stand_before_lines_whatever_the_lines_hold(text: str) -> None:
    nine = (record(text) + record("x\n")).replace(b":00.5Z", b":00.500000000Z")
    expected = f"2026-01-01T00:00:00.500000000Z {text}2026-01-01T00:00:00.500000000Z x\n".encode()
    assert logrecords.timed(nine) == expected
    assert logrecords.timed(record(text) + record("x\n")) == expected


def test_the_rest_of_a_split_line_has_no_time_of_its_own() -> None:
    block = (record("a ") + record("b\n", 9)).replace(b".5Z", b".500000000Z")
    assert logrecords.timed(block) == b"2026-01-01T00:00:00.500000000Z a b\n"

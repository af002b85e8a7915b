"""Log lines with prefixes, colours and times."""

from __future__ import annotations

import json
import os

import pytest

from compose.cli.render.logs import LogPrinter


def record(text: str, stream: str = "stdout") -> bytes:
    data = {"log": text, "stream": stream, "time": "2026-01-01T00:00:00.5Z"}
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


class Capture:
    def __init__(self) -> None:
        self.pipes = [os.pipe(), os.pipe()]

    def printer(self, **options) -> LogPrinter:
        options.setdefault("colour", False)
        return LogPrinter(self.pipes[0][1], self.pipes[1][1], **options)

    def close(self) -> None:
        for pair in self.pipes:
            for fd in pair:
                os.close(fd)

    def text(self, which: int = 0) -> str:
        os.set_blocking(self.pipes[which][0], False)
        try:
            return os.read(self.pipes[which][0], 1 << 16).decode()
        except BlockingIOError:
            return ""


@pytest.fixture
def capture():
    found = Capture()
    yield found
    found.close()


def test_the_bar_stands_behind_the_longest_name(capture) -> None:
    printer = capture.printer()
    printer.register(["a-1", "longname-1"])
    printer.block("a-1", record("one\n") + record("two\n"))
    printer.block("longname-1", record("three\n", "stderr"))
    assert capture.text() == "a-1         | one\na-1         | two\nlongname-1  | three\n"


def test_colours_go_round_in_composes_order(capture) -> None:
    printer = capture.printer(colour=True)
    names = [f"s-{number}" for number in range(11)]
    printer.register(names)
    codes = [printer.prefix(name).partition("m")[0].removeprefix("\x1b[") for name in names]
    assert codes == ["36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1", "36"]
    printer.block("s-0", record("x\n"))
    assert capture.text() == "\x1b[36ms-0   | \x1b[0mx\n"


def test_times_have_nine_digits_and_stand_behind_the_bar(capture) -> None:
    printer = capture.printer(timestamps=True)
    printer.block("web-1", record("half ") + record("line\n"))
    assert capture.text() == "web-1  | 2026-01-01T00:00:00.500000000Z half line\n"


def test_an_unfinished_line_waits_for_its_rest(capture) -> None:
    printer = capture.printer()
    printer.block("a-1", record("done\n") + record("password: "))
    assert capture.text() == "a-1  | done\n"
    printer.block("b-1", record("other\n"))
    assert capture.text() == "b-1  | other\n"
    printer.block("a-1", record("secret\n"))
    assert capture.text() == "a-1  | password: secret\n"
    printer.block("a-1", record("never ended"))
    printer.flush()
    assert capture.text() == "a-1  | never ended\n"


def test_an_unfinished_line_keeps_the_time_of_its_beginning(capture) -> None:
    printer = capture.printer(timestamps=True)
    printer.block("a-1", record("pass"))
    printer.block("a-1", record("word\n").replace(b":00.5", b":09.5"))
    assert capture.text() == "a-1  | 2026-01-01T00:00:00.500000000Z password\n"


def test_no_prefix_leaves_the_text_alone(capture) -> None:
    printer = capture.printer(prefix=False)
    printer.block("a-1", record("x\n") + record("\n"))
    assert capture.text() == "x\n\n"


def test_attached_output_keeps_the_streams_apart(capture) -> None:
    printer = capture.printer(split_streams=True)
    printer.block("a-1", record("out\n") + record("err\n", "stderr"))
    assert (capture.text(0), capture.text(1)) == ("a-1  | out\n", "a-1  | err\n")


def test_an_end_is_told_behind_what_was_left_of_a_line(capture) -> None:
    printer = capture.printer()
    printer.block("a-1", record("last words"))
    printer.status("a-1", "exited with code 3")
    assert capture.text() == "a-1  | last words\na-1 exited with code 3\n"

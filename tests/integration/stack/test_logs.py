"""Logs: complete, followed, prefixed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]


def test_prefixes_tail_and_timestamps(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sh -c "echo error >&2; sleep 0.2; for i in 1 2 3 4 5; do echo line $$i; done"}
          longname: {image: localhost/host, command: echo hello}
    """)
    stack.run("up", "-d")
    poll(lambda: set(stack.states().values()) == {"exited"})
    out = stack.run("logs").out
    if stack.is_peer:  # which widens the column only when it meets the longer name
        out = re.sub(r"^a-1 +\|", "a-1         |", out, flags=re.MULTILINE)
    assert "a-1         | line 1\n" in out
    assert "longname-1  | hello\n" in out
    assert "a-1         | error\n" in out
    assert stack.run("logs", "--tail", "2", "--no-log-prefix", "a").lines[-2:] == ["line 4", "line 5"]
    assert re.match(r"a-1\s+\| \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z line 1", stack.run("logs", "-t", "a").lines[1])


@pytest.mark.ours
def test_follow_ends_with_the_container_and_misses_nothing(stack: Stack) -> None:
    stack.compose("""
        services:
          a:
            image: localhost/host
            command: ["sh", "-c", "i=0; while [ $$i -lt 2000 ]; do echo n $$i; i=$$((i+1)); done"]
    """)
    stack.run("up", "-d")
    lines = stack.run("logs", "-f", "--no-log-prefix", "a").lines
    assert [line for line in lines if line.startswith("n ")] == [f"n {number}" for number in range(2000)]


@pytest.mark.ours
def test_a_million_lines_are_all_there(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: seq 1000000}
    """)
    stack.run("up", "-d")
    follow = stack.run("logs", "-f", "--no-log-prefix", "a").out.removesuffix("a-1 exited with code 0\n")
    assert follow.count("\n") == 1_000_000
    assert follow.endswith("\n1000000\n")
    plain = stack.run("logs", "--no-log-prefix", "a").out
    assert plain == follow


@pytest.mark.ours
def test_rotation_keeps_the_newest(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: seq 100000, logging: {driver: json-file, options: {max-size: 1m, max-file: "3"}}}
    """)
    stack.run("up", "-d")
    poll(lambda: stack.inspect("a-1")["State"]["Status"] == "exited")
    files = list((stack.root / "data/containers" / stack.inspect("a-1")["Id"]).glob("*-json.log*"))
    assert len(files) == 3
    assert all(path.stat().st_size <= 1.1 * (1 << 20) for path in files)
    assert stack.run("logs", "--no-log-prefix", "a").lines[-1] == "100000"

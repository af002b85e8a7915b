"""What runs, what it uses, and how it ends: top, stats, wait."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

ONE = "services: {a: {image: localhost/host, command: sleep 1000, init: true, mem_limit: 64m}}"


def test_top_shows_the_processes_of_each_container(stack: Stack) -> None:
    stack.compose(ONE)
    stack.run("up", "-d", "--scale", "a=2")
    lines = stack.run("top").lines
    assert lines[0].split() == ["SERVICE", "#", "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    rows = [line.split() for line in lines[1:]]
    assert [row[:3] for row in rows] == [["a", number, "root"] for number in ("1", "1", "2", "2")]
    assert [" ".join(row[9:]) for row in rows if row[9] == "sleep"] == ["sleep 1000"] * 2
    pid = stack.inspect("a-1")["State"]["Pid"]
    assert str(pid) in {row[3] for row in rows} | {row[4] for row in rows}


def test_top_shows_what_exec_entered_and_nothing_of_a_stopped_container(stack: Stack) -> None:
    stack.compose(ONE)
    stack.run("up", "-d")
    stack.run("exec", "-d", "a", "sleep", "77")
    poll(lambda: "sleep 77" in stack.run("top", "a").out, what="the exec is listed")
    stack.run("stop", "-t", "0")
    assert stack.run("top").out == ""
    assert stack.run("top", "nobody").out == ""


def test_stats_tell_memory_limit_processes_and_traffic(stack: Stack) -> None:
    stack.compose(ONE)
    stack.run("up", "-d")
    row = json.loads(stack.run("stats", "--no-stream", "--format", "json").out)
    assert list(row) == ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"]
    assert row["Name"] == f"{stack.project}-a-1"
    assert row["ID"] == row["Container"][:12]
    assert row["MemUsage"].endswith(" / 64MiB")
    assert row["PIDs"] == "2"
    assert re.fullmatch(r"\d+\.\d\d%", row["CPUPerc"])
    header, line = stack.run("stats", "--no-stream").lines
    assert re.split(r"\s{2,}", header) == [
        "CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS",
    ]  # fmt: skip
    assert line.split()[:2] == [row["ID"], row["Name"]]


def test_stats_of_a_busy_processor(stack: Stack) -> None:
    stack.compose("services: {a: {image: localhost/host, command: sh -c 'while :; do :; done', cpus: 0.3}}")
    stack.run("up", "-d")
    share = float(stack.run("stats", "--no-stream", "--format", "{{.CPUPerc}}").out.rstrip("%\n"))
    assert 5 < share < 60


def test_stats_without_containers_is_a_header(stack: Stack) -> None:
    stack.compose(ONE)
    assert len(stack.run("stats", "--no-stream").lines) == 1


def test_wait_gives_the_exit_code(stack: Stack) -> None:
    stack.compose("services: {a: {image: localhost/host, command: sh -c 'sleep 5; exit 3'}}")
    stack.run("up", "-d")
    identity = stack.inspect("a-1")["Id"]
    done = stack.run("wait", "a", ok=False)
    assert (done.code, done.out) == (3, f'container "{identity}" exited with status code 3\n')


def test_wait_needs_a_running_container(stack: Stack) -> None:
    stack.compose("services: {a: {image: localhost/host, command: 'true'}}")
    stack.run("up", "-d")
    poll(lambda: stack.states() == {"a-1": "exited"})
    done = stack.run("wait", "a", ok=False)
    assert (done.code, done.err) == (1, f'no containers for project "{stack.project}"\n')


def test_wait_holds_up_no_other_command_and_takes_the_project_down(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sh -c 'sleep 3; exit 4'}
          b: {image: localhost/host, command: sleep 1000, init: true}
    """)
    stack.run("up", "-d")
    waiting = stack.start("wait", "--down-project", "a")
    stack.run("restart", "-t", "0", "b")
    assert waiting.poll() is None
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 4, err
    assert "exited with status code 4" in out
    assert stack.states() == {}

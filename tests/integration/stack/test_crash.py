"""Any of our processes may be killed at any moment: the stack serves on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import machine
from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

SERVED = """
    services:
      web:
        image: localhost/host
        command: python3 -m http.server 8000 --directory /usr/share/doc
        init: true
        restart: always
        ports: ["{port}:8000"]
      client:
        image: localhost/host
        command: sleep 1000
        init: true
        restart: always
      job:
        image: localhost/host
        command: sh -c "sleep 1.5; exit 42"
        restart: "no"
"""
LOOK_UP = "import socket; print(socket.gethostbyname('web'))"


def victims(stack: Stack, which: str) -> list[int]:
    status = stack.status()
    return [status[name] for name in {"engine": ["Pid"], "zygote": ["Zygote"], "both": ["Zygote", "Pid"]}[which]]


@pytest.mark.parametrize("which", ["engine", "zygote", "both"])
def test_the_stack_outlives_our_processes(stack: Stack, which: str) -> None:
    port = free_port()
    stack.compose(SERVED.format(port=port))
    stack.run("up", "-d")
    poll(lambda: "200" and stack.exec("client", "python3", "-c", LOOK_UP, ok=False).code == 0, what="names resolve")
    poll(lambda: _answers(stack, port), what="the page answers")
    before = {name: stack.inspect(name)["State"]["Pid"] for name in ("web-1", "client-1")}
    old = victims(stack, which)
    for pid in old:
        os.kill(pid, 9)
    began = time.monotonic()
    while time.monotonic() - began < 2.5:
        assert _answers(stack, port), "a published port went away"
        time.sleep(0.1)
    fresh = poll(lambda: _status(stack, old), 5, "an engine is back by itself")
    assert fresh["Pid"] not in old
    began = time.monotonic()
    assert stack.exec("client", "python3", "-c", LOOK_UP).code == 0
    assert time.monotonic() - began < 3
    assert {name: stack.inspect(name)["State"]["Pid"] for name in ("web-1", "client-1")} == before
    poll(lambda: stack.inspect("job-1")["State"]["Status"] == "exited", what="the job ended")
    assert stack.inspect("job-1")["State"]["ExitCode"] == 42
    os.kill(before["client-1"], 9)
    poll(lambda: stack.inspect("client-1")["State"]["Pid"] not in {0, before["client-1"]}, what="policies act again")


def test_an_exit_while_nobody_looked_is_told_truly_and_restarted(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, restart: always}
          b: {image: localhost/host, command: sh -c "trap 'exit 33' TERM; while :; do sleep 0.02; done"}
    """)
    stack.run("up", "-d")
    a, b = (stack.inspect(name)["State"]["Pid"] for name in ("a-1", "b-1"))
    time.sleep(0.2)
    old = victims(stack, "both")
    for pid in old:
        os.kill(pid, 9)
    os.kill(a, 9)
    os.kill(b, 15)
    poll(lambda: _status(stack, old), 10, "an engine is back by itself")
    poll(lambda: stack.inspect("a-1")["State"]["Pid"] not in {0, a}, what="a was restarted")
    poll(lambda: stack.inspect("b-1")["State"]["Status"] == "exited", what="b's end was noted")
    assert stack.inspect("b-1")["State"]["ExitCode"] == 33


def test_a_killed_shim_takes_its_container_along_and_the_policy_acts(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true, restart: always}
    """)
    stack.run("up", "-d")
    pid = stack.inspect("a-1")["State"]["Pid"]
    with open(f"/proc/{pid}/stat", encoding="ascii") as stream:
        shim = int(stream.read().rpartition(")")[2].split()[1])
    os.kill(shim, 9)
    poll(lambda: stack.inspect("a-1")["State"]["Pid"] not in {0, pid}, what="restarted with a shim of its own")
    assert not os.path.exists(f"/proc/{pid}")
    assert stack.exec("a", "echo", "alive").out == "alive\n"


def test_what_waits_for_its_next_try_comes_back_with_the_next_command_when_all_of_ours_was_killed(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sh -c "exit 3", restart: always}
    """)
    stack.run("up", "-d")
    poll(lambda: _waiting(stack, tries=4), what="a waits for more than a second")
    status = stack.status()
    shims = Path(f"/proc/{status['Zygote']}/task/{status['Zygote']}/children").read_text().split()
    for pid in [status["Pid"], status["Zygote"], *map(int, shims)]:
        os.kill(pid, 9)
    assert len(shims) == 1
    poll(lambda: not machine.processes(str(stack.root)), what="nothing of ours runs")
    assert {row["State"] for row in stack.ps()} <= {"restarting", "running"}
    poll(lambda: stack.inspect("a-1")["RestartCount"] >= 6, what="its policy acts")
    assert stack.inspect("a-1")["State"]["ExitCode"] == 3


def test_a_broken_record_is_set_aside_and_named(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: "true"}
          b: {image: localhost/host, command: sleep 1000, init: true}
    """)
    stack.run("up", "-d")
    poll(lambda: stack.inspect("a-1")["State"]["Status"] == "exited")
    broken = stack.inspect("a-1")["Id"]
    old = victims(stack, "both")
    (stack.root / "data/containers" / broken / "config.json").write_text('{"schema": "state/cont')
    for pid in old:
        os.kill(pid, 9)
    poll(lambda: _status(stack, old), 10, "an engine is back")
    assert stack.states() == {"b-1": "running"}
    assert any(broken in path for path in stack.status()["Quarantined"])
    stack.run("up", "-d")


def _waiting(stack: Stack, tries: int) -> bool:
    found = stack.inspect("a-1")
    return bool(found["State"]["Status"] == "restarting" and found["RestartCount"] > tries)


def _answers(stack: Stack, port: int) -> bool:
    try:
        return bool(stack.http(port))
    except OSError:
        return False


def _status(stack: Stack, old: list[int]) -> dict[str, int] | None:
    """The status of an engine that nobody asked to start."""
    try:
        status = stack.status()
    except Exception:
        return None
    return status if status["Pid"] not in old and status["Zygote"] not in old else None

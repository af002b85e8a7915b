"""Commands that change one project at the same time take turns, and each ends with what it said."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    import subprocess

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

STUBBORN = """
    services:
      a:
        image: localhost/host
        command: sh -c "trap '' TERM; while :; do sleep 0.2; done"
        stop_grace_period: 1s
      b: {image: localhost/host, command: sleep 1000, init: true}
"""
CLIENTS = 300


def begun(stack: Stack, *arguments: str, until: str) -> subprocess.Popen[str]:
    """A command in the background that has come as far as to print `until`."""
    command = stack.start(*arguments)
    assert command.stderr is not None
    lines = []
    for line in command.stderr:
        lines.append(line)
        if until in line:
            return command
    raise AssertionError("".join(lines))


def test_three_commands_at_once_end_well_and_the_last_one_counts(stack: Stack) -> None:
    stack.compose(STUBBORN)
    stack.run("up", "-d")
    first = begun(stack, "up", "-d", "--force-recreate", until="Recreate")
    second = begun(stack, "down", until=f'waiting for "pycompose up" (pid {first.pid}), which is changing')
    third = begun(stack, "up", "-d", "--scale", "a=2", until="waiting for")
    ends = [command.communicate(timeout=40) for command in (first, second, third)]
    assert [command.returncode for command in (first, second, third)] == [0, 0, 0], ends
    assert stack.run("down", "-t", "0").code == 0
    assert (stack.containers(), stack.networks()) == ([], [])


def test_ctrl_c_while_waiting_for_the_turn_leaves_everything_as_it_is(stack: Stack) -> None:
    stack.compose(STUBBORN)
    stack.run("up", "-d")
    first = begun(stack, "restart", "a", until="Stopping")
    second = begun(stack, "down", "-t", "0", until="waiting for")
    second.send_signal(signal.SIGINT)
    second.communicate(timeout=10)
    assert second.returncode == 130
    first.communicate(timeout=20)
    assert stack.states() == {"a-1": "running", "b-1": "running"}
    stack.run("down", "-t", "0")


def test_a_crowd_of_clients_waits_for_a_busy_engine(stack: Stack) -> None:
    assert int(Path("/proc/sys/net/core/somaxconn").read_text()) >= CLIENTS
    stack.compose(STUBBORN)
    stack.run("create")
    engine = stack.status()["Pid"]
    os.kill(engine, signal.SIGSTOP)
    clients = []
    try:
        for _ in range(CLIENTS):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.setblocking(False)
            clients.append(client)
            client.connect(f"{stack.root}/run/engine.sock")  # BlockingIOError: the queue is full
    finally:
        os.kill(engine, signal.SIGCONT)
        for client in clients:
            client.close()
    assert poll(stack.status)["Pid"] == engine


def test_a_network_whose_record_was_lost_is_back_after_one_up(stack: Stack) -> None:
    stack.compose("services: {b: {image: localhost/host, command: sleep 1000, init: true, restart: always}}")
    stack.run("up", "-d")
    (record,) = [
        path
        for path in (stack.root / "data/networks").glob("*/config.json")
        if f"{stack.project}_default" in path.read_text()
    ]
    old = stack.status()["Pid"]
    record.write_text("")
    os.kill(old, signal.SIGKILL)
    poll(lambda: stack.run("ps").code == 0 and stack.status()["Pid"] != old, what="an engine is back")
    stack.run("up", "-d")
    address = stack.inspect("b-1")["NetworkSettings"]["Networks"][f"{stack.project}_default"]["IPAddress"]
    shown = stack.exec("b", "python3", "-c", "import socket; print(socket.gethostbyname('b'))").out
    assert shown.strip() == address
    stack.run("down", "-t", "0")

"""`run`: one command in a container of its own."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import free_port, poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

SERVICES = """
    services:
      db: {image: localhost/host, command: sleep 1000, init: true}
      a:
        image: localhost/host
        command: sh -c 'echo from the file'
        depends_on: [db]
        environment: {KEPT: file, CHANGED: file}
"""


def test_all_output_and_the_exit_code_come_through(stack: Stack) -> None:
    stack.compose(SERVICES)
    for _ in range(5):
        done = stack.run("run", "--rm", "-T", "a", "sh", "-c", "echo out; echo err >&2; exit 7", ok=False)
        assert (done.code, done.out) == (7, "out\n")
        assert "err\n" in done.err
    assert stack.states() == {"db-1": "running"}


def test_the_command_of_the_file_runs_and_the_container_stays_without_rm(stack: Stack) -> None:
    stack.compose(SERVICES)
    assert stack.run("run", "-T", "--no-deps", "a").out == "from the file\n"
    (row,) = stack.ps()
    assert row["Name"].startswith(f"{stack.project}-a-run-")
    assert (row["State"], "oneoff=True" in row["Labels"]) == ("exited", True)
    stack.run("down", "--remove-orphans")
    assert stack.ps() == []


def test_standard_input_reaches_the_command(stack: Stack) -> None:
    stack.compose(SERVICES)
    assert stack.run("run", "--rm", "-T", "--no-deps", "a", "cat", stdin="through\n").out == "through\n"


def test_options_change_the_container(stack: Stack) -> None:
    stack.compose(SERVICES)
    stack.write("here/file", "seen\n")
    stack.write("more.env", "FILED=yes\n")
    done = stack.run(
        "run", "--rm", "-T", "--no-deps", "--name", "mine", "-e", "CHANGED=line", "--env-from-file", "more.env",
        "-v", "./here:/there:ro", "-v", "named:/data", "-w", "/there", "-u", "1000", "--entrypoint", "sh -c", "a",
        "echo $KEPT $CHANGED $FILED; pwd; id -u; cat file; test -d /data && echo volume; touch /there/x || echo ro",
    )  # fmt: skip
    assert done.lines == ["file line yes", "/there", "1000", "seen", "volume", "ro"]
    assert stack.ps() == []


def test_detached_prints_the_id(stack: Stack) -> None:
    stack.compose(SERVICES)
    port = free_port()
    identity = stack.run(
        "run", "-d", "--name", f"{stack.project}-mine", "-p", f"{port}:80", "--no-deps", "a", "sleep", "1000"
    ).out
    found = stack.inspect("mine")
    assert found["Id"] == identity.strip()
    assert found["State"]["Status"] == "running"
    assert str(port) in str(found["NetworkSettings"]["Ports"])


def test_a_command_that_is_not_there_leaves_nothing_with_rm(stack: Stack) -> None:
    stack.compose(SERVICES)
    done = stack.run("run", "--rm", "-T", "--no-deps", "a", "nosuchcommand", ok=False)
    assert done.code == 1
    assert "nosuchcommand" in done.err
    assert stack.ps() == []


def test_signals_are_passed_on(stack: Stack) -> None:
    stack.compose(SERVICES)
    script = "trap 'echo got it; exit 5' TERM; echo ready; while :; do sleep 0.05; done"
    running = stack.start("run", "--rm", "-T", "--no-deps", "a", "sh", "-c", script)
    assert running.stdout is not None
    assert running.stdout.readline() == "ready\n"
    running.send_signal(signal.SIGTERM)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (5, "got it\n"), err


def test_on_a_terminal_the_command_has_one(stack: Stack) -> None:
    stack.compose(SERVICES)
    stack.run("up", "-d", "db")
    master, slave = pty.openpty()
    running = subprocess.Popen(
        [*stack.program, "run", "--rm", "--no-deps", "a", "sh", "-c", "tty; read x; echo got $x; exit 4"],
        cwd=stack.folder,
        env=stack.environ(),
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )  # fmt: skip
    os.close(slave)
    try:
        seen = _read_until(master, b"/dev/pts/")
        os.write(master, b"word\r")
        seen += _read_until(master, b"got word")
        assert running.wait(timeout=20) == 4, seen
    finally:
        os.close(master)
    poll(lambda: stack.states() == {"db-1": "running"})


def _read_until(master: int, wanted: bytes, timeout: float = 20.0) -> bytes:
    deadline, seen = time.monotonic() + timeout, b""
    while wanted not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 65536)
    return seen

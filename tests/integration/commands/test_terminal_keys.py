"""On a terminal: attach, the keys that leave it, and the keys of an attached `up`."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import termios
from typing import TYPE_CHECKING

import pytest

from tests.kit.pseudoterminal import Terminal
from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

DETACH = b"\x10\x11"
SERVICES = """
    services:
      shell:
        image: localhost/host
        command: sh -c 'while read x; do echo got $$x; test $$x = bye && exit 7; done'
        tty: true
        stdin_open: true
        stop_grace_period: 0s
      plain:
        image: localhost/host
        command: sh -c 'trap "echo term; exit 5" TERM; echo begun; while :; do sleep 0.05; done'
        stop_grace_period: 1s
"""
WATCHED = """
    services:
      web:
        image: localhost/host
        command: sh -c 'while :; do echo begun; sleep 0.2; done'
        stop_grace_period: 0s
        init: true
        develop: {watch: [{action: sync, path: ./files, target: /files}]}
"""


def terminal(stack: Stack, *arguments: str) -> Terminal:
    return Terminal([*stack.program, *arguments], stack.folder, stack.environ())


@pytest.mark.both
def test_attach_connects_the_terminal_and_the_detach_keys_leave_it(stack: Stack) -> None:
    stack.compose(SERVICES)
    stack.run("up", "-d", "shell")
    with terminal(stack, "attach", "shell") as screen:
        poll(lambda: _answered(screen, b"hello\r", "got hello"), what="the shell answers")
        screen.type(b"\x10hm\r")  # a beginning that is not the whole goes through
        screen.until("hm")
        screen.type(DETACH)
        assert screen.wait() == 1
        assert "read escape sequence" in screen.text
    with terminal(stack, "attach", "--detach-keys", "ctrl-a", "shell") as screen:
        poll(lambda: _answered(screen, b"again\r", "got again"), what="the shell answers")
        screen.type(b"\x01")
        assert screen.wait() == 1
    assert stack.states() == {"shell-1": "running"}
    with terminal(stack, "attach", "shell") as screen:
        poll(lambda: _answered(screen, b"there\r", "got there"), what="the shell answers")
        screen.type(b"bye\r")
        assert screen.wait() == 7


@pytest.mark.both
def test_the_keys_that_leave_are_those_of_dockers_configuration_file(stack: Stack) -> None:
    stack.environment["DOCKER_CONFIG"] = str(stack.write("docker/config.json", '{"detachKeys": "ctrl-a"}').parent)
    stack.compose(SERVICES)
    stack.run("up", "-d", "shell")
    with terminal(stack, "exec", "shell", "sh", "-c", "echo begun; exec sleep 1000") as screen:
        screen.until("begun")
        screen.type(b"\x01")
        assert screen.wait() == 1
        assert "read escape sequence" in screen.text
    with terminal(stack, "attach", "shell") as screen:
        poll(lambda: _answered(screen, b"hello\r", "got hello"), what="the shell answers")
        screen.type(b"\x01")
        assert screen.wait() == 1


@pytest.mark.both
def test_exec_and_run_can_be_left(stack: Stack) -> None:
    stack.compose(SERVICES)
    stack.run("up", "-d", "shell")
    with terminal(stack, "exec", "shell", "sh", "-c", "echo begun; exec sleep 1000") as screen:
        screen.until("begun")
        screen.type(DETACH)
        assert screen.wait() == 1
        assert "read escape sequence" in screen.text
    with terminal(stack, "run", "--name", f"{stack.project}-left", "shell", "sh", "-c", "echo begun; cat") as screen:
        screen.until("begun")
        screen.type(DETACH)
        assert screen.wait() == 0
    assert stack.states() == {"shell-1": "running", "left": "running"}


@pytest.mark.both
def test_attach_without_a_terminal_follows_the_output_and_passes_signals(stack: Stack) -> None:
    stack.compose(SERVICES)
    stack.run("up", "-d")
    assert stack.run("attach", "shell", ok=False).err.strip() == "the input device is not a TTY"
    attached = stack.start("attach", "plain")
    # nothing is shown until something is written: the signal is the first thing that is
    poll(lambda: _attached(stack), what="attached")
    attached.terminate()
    out, _ = attached.communicate(timeout=20)
    assert out == "term\n"
    assert attached.returncode == (130 if stack.is_peer else 5)
    missing = stack.run("attach", "nosuch", ok=False)
    assert (missing.code, missing.err.strip()) == (1, 'service "nosuch" is not running')
    stack.run("pause", "shell")
    paused = stack.run("attach", "shell", ok=False)
    assert "cannot attach to a paused container" in paused.err
    stack.run("unpause", "shell")


@pytest.mark.both
def test_w_switches_watching_in_an_attached_up(stack: Stack) -> None:
    stack.compose(WATCHED)
    stack.write("files/one", "1\n")
    with terminal(stack, "up") as screen:
        screen.until("begun")
        assert "Enable Watch" in screen.until("Enable Watch")
        screen.type(b"w")
        screen.until("Watch enabled")
        screen.until("Disable Watch")
        stack.write("files/two", "2\n")
        poll(lambda: stack.exec("web", "cat", "/files/two", ok=False).out == "2\n", what="synced")
        screen.type(b"w")
        screen.until("Watch disabled")
        screen.type(b"\x03")
        screen.until("Gracefully Stopping...")
        assert screen.wait() in (0, 130)
    assert stack.states() == {"web-1": "exited"}


def test_a_hangup_leaves_the_terminal_as_it_was_and_nothing_of_run(stack: Stack) -> None:
    stack.compose(SERVICES)
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    command = [*stack.program, "run", "--rm", "shell", "sh", "-c", "sleep 1000"]
    running = subprocess.Popen(
        command, cwd=stack.folder, env=stack.environ(), stdin=slave, stdout=slave, stderr=slave, start_new_session=True
    )
    try:
        poll(lambda: termios.tcgetattr(slave) != before, what="the terminal is raw")
        running.send_signal(signal.SIGHUP)
        assert running.wait(timeout=20) == 130
        assert termios.tcgetattr(slave) == before
    finally:
        running.kill()
        os.close(slave)
        os.close(master)
    assert stack.ps() == []


def test_d_leaves_what_runs_and_the_footer_goes(stack: Stack) -> None:
    stack.compose(WATCHED)
    with terminal(stack, "up") as screen:
        screen.until("begun")
        screen.until("Detach")
        screen.type(b"d")
        assert screen.wait() == 0
    assert stack.states() == {"web-1": "running"}
    for switch in (["up", "--menu=false"], ["up"]):
        stack.environment["COMPOSE_MENU"] = "" if len(switch) > 1 else "false"
        with terminal(stack, *switch) as screen:
            screen.until("Attaching to web-1")
            screen.type(b"d\x03")
            screen.wait()
            assert "Detach" not in screen.text


@pytest.mark.both
def test_a_service_without_rules_cannot_be_watched(stack: Stack) -> None:
    stack.compose(SERVICES)
    with terminal(stack, "up", "plain") as screen:
        screen.until("begun")
        screen.type(b"w")
        screen.until("configured")
        screen.type(b"\x03")
        screen.wait()


def _answered(screen: Terminal, keys: bytes, answer: str) -> bool:
    screen.type(keys)
    try:
        screen.until(answer, 1.0)
    except AssertionError:
        return False
    return True


def _attached(stack: Stack) -> bool:
    return "container attach" in stack.run("events", "--since", "1m", "--until", "0s", ok=False).out

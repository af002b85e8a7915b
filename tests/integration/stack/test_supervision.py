"""Health, restarts, dependencies, stop, exit codes: what the engine does when no command runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]


@pytest.mark.ours
def test_healthy_waits_for_the_probe_and_tells_why_it_waits(stack: Stack) -> None:
    stack.compose("""
        services:
          db:
            image: localhost/host
            command: sh -c "sleep 0.5; touch /ready; sleep 1000"
            init: true
            healthcheck: {test: "test -e /ready || { echo not ready yet; exit 1; }", start_period: 30s, start_interval: 100ms}
          web:
            image: localhost/host
            command: sleep 1000
            init: true
            depends_on: {db: {condition: service_healthy}}
    """)
    up = stack.run("--progress", "plain", "up", "-d")
    assert f"Container {stack.project}-db-1  Healthy" in up.err
    assert "not ready yet" in up.err
    rows = {row["Service"]: row for row in stack.ps()}
    assert rows["db"]["Health"] == "healthy"
    assert "(healthy)" in rows["db"]["Status"]
    db, web = stack.inspect("db-1"), stack.inspect("web-1")
    assert web["State"]["StartedAt"] > db["State"]["Health"]["Log"][0]["End"]


@pytest.mark.ours
def test_an_unhealthy_dependency_fails_the_command_and_the_rest_can_be_repeated(stack: Stack) -> None:
    text = """
        services:
          db:
            image: localhost/host
            command: sleep 1000
            init: true
            healthcheck: {test: "echo broken disk; exit 3", interval: 100ms, retries: 2}
          web: {image: localhost/host, command: sleep 1000, init: true, depends_on: {db: {condition: service_healthy}}}
    """
    stack.compose(text)
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    assert f"dependency failed to start: container {stack.project}-db-1 is unhealthy" in failed.err
    assert "broken disk" in failed.err
    stack.compose(text.replace("exit 3", "exit 0"))
    stack.run("up", "-d")
    assert stack.states() == {"db-1": "running", "web-1": "running"}


def test_completed_successfully_and_its_failure(stack: Stack) -> None:
    text = """
        services:
          job: {image: localhost/host, command: sh -c "exit 0"}
          web: {image: localhost/host, command: sleep 1000, init: true, depends_on: {job: {condition: service_completed_successfully}}}
    """
    stack.compose(text)
    stack.run("up", "-d")
    assert stack.states() == {"job-1": "exited", "web-1": "running"}
    stack.run("down")
    stack.compose(text.replace("exit 0", "exit 7"))
    failed = stack.run("up", "-d", ok=False)
    assert failed.code == 1
    assert 'service "job" didn\'t complete successfully: exit 7' in failed.err


def test_restart_on_failure_backs_off_and_gives_up(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sh -c "date +%s.%N; exit 3", restart: "on-failure:3"}
    """)
    stack.run("up", "-d")
    poll(lambda: stack.inspect("a-1")["State"]["Status"] == "exited", what="gave up")
    found = stack.inspect("a-1")
    assert (found["RestartCount"], found["State"]["ExitCode"]) == (3, 3)
    times = [float(line.split()[-1]) for line in stack.run("logs", "--no-log-prefix", "a").lines]
    gaps = [after - before for before, after in zip(times, times[1:], strict=False)]
    assert len(gaps) == 3
    assert all(gap >= expected for gap, expected in zip(gaps, (0.1, 0.2, 0.4), strict=True)), gaps


def test_always_comes_back_and_a_manual_stop_ends_it(stack: Stack) -> None:
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true, restart: always}
    """)
    stack.run("up", "-d")
    pid = stack.inspect("a-1")["State"]["Pid"]
    stack.kill(pid)
    poll(lambda: stack.inspect("a-1")["State"]["Pid"] not in {0, pid}, what="restarted")
    stack.run("stop", "-t", "2")
    time.sleep(0.5)
    assert stack.states() == {"a-1": "exited"}


def test_exit_codes_are_dockers(stack: Stack) -> None:
    stack.compose("""
        services:
          seven: {image: localhost/host, command: sh -c "exit 7"}
          killed: {image: localhost/host, command: sleep 1000}
          nosuch: {image: localhost/host, command: nosuchcommand}
          notexec: {image: localhost/host, command: /etc/passwd}
    """)
    stack.run("up", "-d", "seven", "killed")
    stack.kill(stack.inspect("killed-1")["State"]["Pid"])
    poll(lambda: set(stack.states().values()) == {"exited"}, what="both ended")
    assert stack.inspect("seven-1")["State"]["ExitCode"] == 7
    assert stack.inspect("killed-1")["State"]["ExitCode"] == 137
    for service, code in (("nosuch", 127), ("notexec", 126)):
        failed = stack.run("up", "-d", service, ok=False)
        assert failed.code == 1
        assert "executable file not found in $PATH" in failed.err or "permission denied" in failed.err
        assert stack.inspect(f"{service}-1")["State"]["ExitCode"] == code


def test_memory_limit_kills_and_says_so(stack: Stack) -> None:
    stack.compose("""
        services:
          hog: {image: localhost/host, command: python3 -c "x = bytearray(200 << 20)", mem_limit: 32m, memswap_limit: 32m}
    """)
    stack.run("up", "-d")
    poll(lambda: stack.inspect("hog-1")["State"]["Status"] == "exited", what="killed")
    state = stack.inspect("hog-1")["State"]
    assert (state["ExitCode"], state["OOMKilled"]) == (137, True)


def test_stop_signal_and_grace_period(stack: Stack) -> None:
    stack.compose("""
        services:
          polite: {image: localhost/host, command: sh -c "trap 'echo usr1; exit 5' USR1; while :; do sleep 0.05; done", stop_signal: SIGUSR1}
          stubborn: {image: localhost/host, command: sh -c "trap '' TERM; while :; do sleep 0.05; done", stop_grace_period: 500ms}
    """)
    stack.run("up", "-d")
    poll(lambda: len(stack.exec("polite", "cat", "/proc/1/status").out) > 0)
    began = time.monotonic()
    stack.run("stop")
    assert time.monotonic() - began < 8
    assert stack.inspect("polite-1")["State"]["ExitCode"] == 5
    assert stack.inspect("stubborn-1")["State"]["ExitCode"] == 137


def test_wait_returns_when_all_are_healthy_and_fails_when_one_ends(stack: Stack) -> None:
    stack.compose("""
        services:
          good: {image: localhost/host, command: sleep 1000, init: true, healthcheck: {test: "true", start_period: 5s, start_interval: 100ms}}
          bad: {image: localhost/host, command: sh -c "sleep 0.2; exit 4"}
    """)
    stack.run("up", "--wait", "good")
    assert stack.run("up", "--wait", ok=False).code == 1

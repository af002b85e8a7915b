"""A newer command line over running containers: the engine is replaced, the containers stay and are looked after."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import free_port, poll

from .conftest import install

if TYPE_CHECKING:
    from tests.kit.stack import Stack

    from .conftest import Environment

pytestmark = pytest.mark.root

OLDER = "0.0.10"
SERVED = """
    services:
      web:
        image: localhost/host
        command: python3 -m http.server 8000 --directory /usr/share/doc
        init: true
        restart: always
        ports: ["{port}:8000"]
        healthcheck: {{test: "test ! -e /tmp/ill", interval: 100ms, retries: 1}}
      clock:
        image: localhost/host
        command: sh -c "while :; do date +%s.%N; sleep 0.1; done"
        init: true
      job:
        image: localhost/host
        command: sh -c "sleep 3; exit 42"
"""
LATER = """
      late: {image: localhost/host, command: sleep 1000, init: true}
"""
LOOK_UP = "import socket; print(socket.gethostbyname('web'))"
SERVICES = ("web-1", "clock-1")


@pytest.mark.parametrize("way", ["in place", "side by side"])
def test_containers_outlive_an_upgrade(
    environment: Environment, wheel: Path, tmp_path: Path, stack: Stack, way: str
) -> None:
    newer = environment if way == "in place" else install(wheel, tmp_path / "newer")
    version = _version(newer)
    environment.become(OLDER)
    stack.program = environment.program
    stack.environment["PYTHONPATH"] = ""
    port = free_port()
    stack.compose(SERVED.format(port=port))
    stack.run("up", "-d")
    before = stack.status()
    assert before["Version"] == OLDER
    pids = _pids(stack)

    newer.become(version)
    stack.program = newer.program
    stack.run("ps")

    after = stack.status()
    assert after["Version"] == version
    assert after["Pid"] != before["Pid"]
    assert _pids(stack) == pids
    assert stack.http(port)
    assert stack.exec("clock", "python3", "-c", LOOK_UP).code == 0
    count = len(stack.run("logs", "clock").lines)
    poll(lambda: len(stack.run("logs", "clock").lines) > count, what="the log goes on")
    stack.exec("web", "touch", "/tmp/ill")
    poll(lambda: stack.inspect("web-1")["State"]["Health"]["Status"] == "unhealthy", what="health is checked")
    poll(lambda: stack.inspect("job-1")["State"]["Status"] == "exited", what="the job ended")
    assert stack.inspect("job-1")["State"]["ExitCode"] == 42

    # The older zygote stays as the parent of its shims and of nothing new.
    assert after["Zygote"] != before["Zygote"]
    assert os.path.exists(f"/proc/{before['Zygote']}")
    stack.compose(SERVED.format(port=port) + LATER)
    stack.run("up", "-d", "--no-recreate")
    assert _parent(_parent(stack.inspect("late-1")["State"]["Pid"])) == after["Zygote"]
    assert _pids(stack) == pids

    os.kill(pids["web-1"], 9)
    poll(lambda: stack.inspect("web-1")["State"]["Pid"] not in {0, pids["web-1"]}, what="policies act")
    assert _parent(_parent(stack.inspect("web-1")["State"]["Pid"])) == after["Zygote"]

    stack.run("down", "-t", "1")
    poll(lambda: not os.path.exists(f"/proc/{before['Zygote']}"), what="the older zygote left with its last shim")


def test_shims_of_the_older_version_bring_the_newer_engine_back(
    environment: Environment, wheel: Path, tmp_path: Path, stack: Stack
) -> None:
    newer = install(wheel, tmp_path / "newer")
    version = _version(newer)
    environment.become(OLDER)
    stack.program = environment.program
    stack.environment["PYTHONPATH"] = ""
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true}
    """)
    stack.run("up", "-d")
    pid = stack.inspect("a-1")["State"]["Pid"]
    stack.program = newer.program
    stack.run("ps")
    status = stack.status()
    for victim in (status["Zygote"], status["Pid"]):
        os.kill(victim, 9)
    back = poll(lambda: _status(stack, status["Pid"]), 10, "an engine is back")
    assert back["Version"] == version
    assert stack.inspect("a-1")["State"]["Pid"] == pid
    stack.run("down", "-t", "1")


def test_an_older_command_line_leaves_the_newer_engine_alone(environment: Environment, stack: Stack) -> None:
    environment.become(OLDER)
    stack.environment["PYTHONPATH"] = ""
    stack.compose("""
        services:
          a: {image: localhost/host, command: sleep 1000, init: true}
    """)
    stack.environment.pop("PYTHONPATH")
    stack.run("up", "-d")
    status = stack.status()
    stack.program = environment.program
    stack.environment["PYTHONPATH"] = ""
    assert "running" in stack.run("ps", "--format", "{{.State}}").out
    time.sleep(0.2)
    assert stack.status()["Pid"] == status["Pid"]
    stack.run("down", "-t", "1")


def _version(environment: Environment) -> str:
    text = (environment.packages / "runtime" / "version.py").read_text()
    return text.split('VERSION = "')[1].split('"')[0]


def _pids(stack: Stack) -> dict[str, int]:
    return {name: stack.inspect(name)["State"]["Pid"] for name in SERVICES}


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _status(stack: Stack, old: int) -> dict[str, str] | None:
    try:
        status = stack.status()
    except Exception:  # there is no engine at this moment
        return None
    return status if status["Pid"] != old else None

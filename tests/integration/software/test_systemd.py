"""systemd as pid 1 of a privileged container, with services, logins and an end of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from .conftest import Tenant

pytestmark = pytest.mark.root

MACHINE = """
    services:
      machine:
        image: {image}
        command: /sbin/init
        privileged: true
        cgroup: private
        tmpfs: [/run, /run/lock, /tmp]
        stop_signal: SIGRTMIN+3
        environment: {{container: docker}}
        volumes: ["./hello.service:/etc/systemd/system/hello.service:ro"]
"""
UNIT = """
    [Service]
    Type=oneshot
    RemainAfterExit=yes
    ExecStart=/bin/sh -c 'echo hello > /run/hello'
    ExecStop=/bin/sh -c 'sleep 0.1'
"""


def test_systemd_boots_runs_services_and_halts(software: Tenant) -> None:
    from .conftest import IMAGE

    software.write("hello.service", UNIT)
    software.compose(MACHINE.format(image=IMAGE))
    software.run("up", "-d")
    assert software.exec("machine", "cat", "/proc/1/comm").out == "systemd\n"

    def booted() -> str:
        state = software.exec("machine", "systemctl", "is-system-running", ok=False).out.strip()
        return state if state in {"running", "degraded"} else ""

    poll(booted, 60, "systemd has booted")
    failed = software.exec("machine", "systemctl", "list-units", "--failed", "--plain", "--no-legend", ok=False).out
    assert failed == ""
    software.exec("machine", "systemctl", "start", "hello.service")
    assert software.exec("machine", "cat", "/run/hello").out == "hello\n"
    software.exec("machine", "systemctl", "restart", "nginx.service")
    page = "import urllib.request as u; print(u.urlopen('http://localhost/').status)"
    assert software.exec("machine", "python3", "-c", page).out == "200\n"
    software.run("stop", "-t", "30")
    assert software.inspect("machine-1")["State"]["ExitCode"] in {0, 130}
    software.run("start")
    poll(booted, 60, "systemd has booted again")

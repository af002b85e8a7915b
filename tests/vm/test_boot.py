"""The unit of `pycompose engine unit`, a shutdown in order, and a power cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conftest import INSTALL, say

if TYPE_CHECKING:
    from .conftest import Vm

STACK = """
pycompose engine unit > /etc/systemd/system/pycompose.service
systemctl enable --quiet --now pycompose
mkdir -p /root/app
cd /root/app
cat > compose.yaml <<'END'
services:
  db: {image: localhost/host, command: sleep 100000, init: true, restart: always}
  web:
    image: localhost/host
    command: sleep 100000
    init: true
    restart: unless-stopped
    volumes: ["data:/data"]
    depends_on: [db]
  halted: {image: localhost/host, command: sleep 100000, init: true, restart: unless-stopped}
  task: {image: localhost/host, command: sleep 100000, init: true}
volumes:
  data:
END
pycompose up -d 2>/dev/null
pycompose stop -t 1 halted 2>/dev/null
pycompose exec -T web sh -c 'echo kept > /data/file; sync'
"""
WAIT = """
cd /root/app
systemctl is-active --quiet pycompose
until pycompose ps --status running -q web | grep -q .; do sleep 1; done
"""
STATES = say("states", "pycompose ps -a --format '{{.Service}}:{{.State}}:{{.ExitCode}}'")
DATA = say("data", "pycompose exec -T web cat /data/file")
ADDRESS = say("address", "pycompose exec -T web hostname -I || true")


def test_containers_come_back_after_a_shutdown_and_after_a_power_cut(kept_vm: Vm) -> None:
    first = kept_vm.results(INSTALL + STACK + STATES + ADDRESS)
    assert set(first["states"].split()) == {"db:running:0", "web:running:0", "halted:exited:143", "task:running:0"}

    # The end of this boot is a power cut, while everything runs (seconds, with an emulated machine in mind).
    second = kept_vm.results(WAIT + STATES + DATA + ADDRESS + "sleep 10000\n", "--power-cut", "240")
    assert {"db:running:0", "web:running:0", "halted:exited:143"} < set(second["states"].split())
    # It was told to end and had its time: the unit stopped it before the machine went down.
    assert "task:exited:143" in second["states"].split()
    assert second["data"].strip() == "kept"
    assert second["address"] == first["address"]

    third = kept_vm.results(
        WAIT
        + STATES
        + DATA
        + "pycompose up -d 2>/dev/null\n"
        + STATES.replace("=states", "=repaired")
        + "pycompose down -t 1 2>/dev/null\n"
    )
    assert {"db:running:0", "web:running:0", "halted:exited:143"} < set(third["states"].split())
    assert third["data"].strip() == "kept"
    assert {item.split(":")[1] for item in third["repaired"].split()} == {"running"}

"""A stack under systemd on cgroup v2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .conftest import INSTALL, say

if TYPE_CHECKING:
    from .conftest import Vm

STACK = """
mkdir -p /root/app
cd /root/app
cat > compose.yaml <<'END'
services:
  web:
    image: localhost/host
    command: python3 -m http.server 8000 --directory /usr/share/doc
    init: true
    ports: ["8080:8000"]
    mem_limit: 64m
    cpus: 0.5
    pids_limit: 50
    healthcheck: {test: "true", interval: 5s}
  client:
    image: localhost/host
    command: sh -c "echo hello; exec sleep 1000"
    init: true
    depends_on: {web: {condition: service_healthy}}
  greedy:
    image: localhost/host
    command: python3 -c "x = bytearray(200 << 20)"
    mem_limit: 32m
END
"""
PAGE = """python3 -c 'import urllib.request as u; print(u.urlopen("http://{host}/").status)'"""


def test_a_stack_runs_with_its_limits(vm: Vm) -> None:
    script = (
        INSTALL
        + STACK
        + "pycompose up -d --quiet-pull 2>/dev/null\n"
        + say("memory", "pycompose exec -T web cat /sys/fs/cgroup/memory.max")
        + say("cpu", "pycompose exec -T web cat /sys/fs/cgroup/cpu.max")
        + say("pids", "pycompose exec -T web cat /sys/fs/cgroup/pids.max")
        + say("device", "pycompose exec -T web sh -c 'mknod /tmp/sda b 8 0 && cat /tmp/sda 2>&1 || true'")
        + say("inside", "pycompose exec -T client " + PAGE.format(host="web:8000"))
        + say("outside", PAGE.format(host="localhost:8080"))
        + say("logs", "pycompose logs --no-log-prefix client")
        + "pycompose pause client 2>/dev/null\n"
        + say("frozen", "cat /sys/fs/cgroup/pycompose/*/*/cgroup.freeze")
        + "pycompose unpause client 2>/dev/null\n"
        + say("states", "pycompose ps -a --format '{{.Service}}:{{.State}}:{{.ExitCode}}'")
        + "pycompose down -t 1 2>/dev/null\n"
        + "pycompose engine stop\n"
        + "sleep 3\n"
        + say("cgroups", "ls /sys/fs/cgroup | grep pycompose || true")
        + say("links", "ls /sys/class/net")
        + say("tables", "nft list tables")
    )
    found = vm.results(script)
    assert found["memory"] == 64 << 20
    assert found["cpu"].split() == ["50000", "100000"]
    assert found["pids"] == 50
    assert "Operation not permitted" in found["device"]
    assert (found["inside"], found["outside"]) == (200, 200)
    assert found["logs"].strip() == "hello"
    assert sorted(found["frozen"].split()) == ["0", "1"]
    assert set(found["states"].split()) == {"web:running:0", "client:running:0", "greedy:exited:137"}
    assert found["cgroups"] == found["tables"] == ""
    assert set(found["links"].split()) == {"lo", "eth0"}


def test_systemd_is_pid_1_of_a_privileged_container(vm: Vm) -> None:
    # The machine's own systemd, in the image of the machine's own programs.
    script = INSTALL + (
        "mkdir -p /root/inner\n"
        "cd /root/inner\n"
        "cat > compose.yaml <<'END'\n"
        "services:\n"
        "  machine:\n"
        "    image: localhost/host\n"
        "    command: /lib/systemd/systemd --unit=multi-user.target\n"
        "    privileged: true\n"
        "    tmpfs: [/run, /run/lock, /tmp]\n"
        "    stop_signal: SIGRTMIN+3\n"
        "    environment: {container: docker}\n"
        "END\n"
        "pycompose up -d 2>/dev/null\n"
        "sleep 30\n"
        + say("inside", "pycompose exec -T machine sh -c 'systemctl is-system-running --wait; cat /proc/1/comm'")
        + say("slices", "pycompose exec -T machine sh -c 'ls -d /sys/fs/cgroup/system.slice /sys/fs/cgroup/init.scope'")
        + say("own", "ls -d /sys/fs/cgroup/pycompose/*/*/init.scope | wc -l")
        + "pycompose down -t 60 2>/dev/null\n"
        + say("left", "ls -d /sys/fs/cgroup/pycompose/*/*/ 2>/dev/null | wc -l")
    )
    found = vm.results(script)
    assert found["inside"].split()[-1] == "systemd"
    assert found["inside"].split()[0] in {"running", "degraded"}
    assert found["slices"].split() == ["/sys/fs/cgroup/init.scope", "/sys/fs/cgroup/system.slice"]
    assert (found["own"], found["left"]) == (1, 0)

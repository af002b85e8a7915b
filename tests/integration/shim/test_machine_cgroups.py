"""The machine's own cgroups, whichever version it has: limits, membership, killing, freezing, removal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from runtime.cgroups import layout
from runtime.errors import SyscallError

pytestmark = pytest.mark.root


def layouts():
    """The machine's layout, and on a hybrid one the v2 tree beside it: without controllers, but with all the rest."""
    found = layout.detect()
    yield pytest.param(found, id=f"v{found.version}")
    _, unified = layout.parse(Path("/proc/self/mountinfo").read_text())
    if found.version == 1 and unified is not None and os.access(unified, os.W_OK):
        yield pytest.param(layout.Layout(2, {"": unified}), id="hybrid-v2")


@pytest.fixture(params=layouts())
def manager(request):
    found = request.param
    if not found.version:
        pytest.skip("no cgroup hierarchy can be written to")
    parent = f"pycompose-test-{uuid.uuid4().hex[:8]}"
    manager = found.manager(f"{parent}/c")
    yield manager
    manager.kill_all()
    deadline = time.monotonic() + 5
    while manager.pids() and time.monotonic() < deadline:
        time.sleep(0.01)
    manager.delete()
    found.manager(parent).delete()


def needs(manager, controller):
    if manager.version == 2:
        mount = manager.directories()[0][1][: -len(manager.name)]
        if controller not in Path(f"{mount}cgroup.controllers").read_text().split():
            pytest.skip(f"no {controller} controller")


def start(manager, *argv):
    return subprocess.Popen(argv, preexec_fn=manager.join, stdin=subprocess.DEVNULL)


def state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_child_joins_before_exec_and_is_listed_killed_and_gone(manager):
    manager.create({})
    child = start(manager, "sleep", "60")
    assert manager.pids() == [child.pid]
    with pytest.raises(SyscallError):
        manager.delete()
    manager.kill_all()
    assert child.wait(5) == -9
    manager.delete()
    for _, directory in manager.directories():
        assert not os.path.exists(directory)
    manager.create({})


def test_limits_can_be_read_back(manager):
    needs(manager, "memory")
    manager.create({"pids": {"limit": 50}, "memory": {"limit": 64 << 20}})
    assert manager.stats()["pids"]["limit"] == 50
    assert manager.stats()["memory"]["limit"] == 64 << 20


def test_frozen_processes_stand_still_and_die_when_killed(manager):
    manager.create({})
    child = start(manager, sys.executable, "-c", "while True: pass")
    manager.freeze()
    before = Path(f"/proc/{child.pid}/stat").read_text().split()[13:15]
    time.sleep(0.03)
    assert Path(f"/proc/{child.pid}/stat").read_text().split()[13:15] == before
    manager.thaw()
    manager.freeze()
    manager.kill_all()
    assert child.wait(5) == -9


def test_a_process_above_its_memory_limit_is_killed_and_counted(manager):
    needs(manager, "memory")
    manager.create({"memory": {"limit": 16 << 20, "swap": 16 << 20}})
    assert manager.oom_kill_count() == 0
    child = start(manager, sys.executable, "-c", "x = bytearray(64 << 20)")
    assert child.wait(20) == -9
    assert manager.oom_kill_count() == 1


def test_cgroups_below_are_listed_and_removed_too(manager):
    manager.create({})
    for _, directory in manager.directories():
        os.makedirs(f"{directory}/inner/most")
    manager.delete()
    for _, directory in manager.directories():
        assert not os.path.exists(directory)
    manager.create({})


def test_denied_devices_cannot_be_opened(manager):
    manager.create(
        {
            "devices": [
                {"allow": False, "access": "rwm"},
                {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"},
            ]
        }
    )
    script = "cat /dev/null && ! cat /dev/zero 2>/dev/null"
    child = subprocess.Popen(["sh", "-c", script], preexec_fn=manager.join)
    assert child.wait(10) == 0


def test_a_cpuset_is_filled_from_its_parents(manager):
    needs(manager, "cpuset")
    skipped = manager.create({"cpu": {"cpus": "0", "shares": 512}})
    if "cpuset.cpus" in skipped:
        pytest.skip("no cpuset controller")
    child = subprocess.Popen(["nproc"], preexec_fn=manager.join, stdout=subprocess.PIPE)
    assert child.communicate(timeout=10)[0] == b"1\n"

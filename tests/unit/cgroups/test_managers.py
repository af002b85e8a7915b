"""Managers on a directory that looks like cgroupfs, and layouts read from mountinfo texts."""

from __future__ import annotations

import os

import pytest

from runtime.cgroups import layout
from runtime.cgroups.manager import DisabledManager
from runtime.cgroups.v1 import ALWAYS, ManagerV1
from runtime.cgroups.v2 import ManagerV2
from runtime.errors import SyscallError

HYBRID = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw,nsdelegate
"""
UNIFIED = "29 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
ODD = r"29 23 0:26 / /sys/fs/a\040b rw - cgroup2 cgroup2 rw" + "\n"


def test_a_hybrid_layout_is_read_by_controller_and_named_hierarchies_are_left_out():
    controllers, unified = layout.parse(HYBRID)
    assert controllers == {
        "cpu": "/sys/fs/cgroup/cpu,cpuacct",
        "cpuacct": "/sys/fs/cgroup/cpu,cpuacct",
        "memory": "/sys/fs/cgroup/memory",
    }
    assert unified == "/sys/fs/cgroup/unified"


def test_a_unified_layout_is_read_and_escapes_in_its_path_undone():
    assert layout.parse(UNIFIED) == ({}, "/sys/fs/cgroup")
    assert layout.parse(ODD) == ({}, "/sys/fs/a b")


def test_without_writable_hierarchies_the_manager_does_nothing():
    found = layout.detect("")
    manager = found.manager("pycompose/e/c")
    assert isinstance(manager, DisabledManager)
    assert found.version == 0
    assert manager.create({"memory": {"limit": 1}, "devices": [{"allow": False}]}) == ["memory limits"]
    manager.kill_all()
    manager.delete()


def fake_v1(root, *, controllers=ALWAYS):
    """What the kernel would make: the files appear with the directory."""
    mounts = {}
    for controller in controllers:
        directory = root / controller / "pycompose" / "c"
        directory.mkdir(parents=True)
        (directory / "tasks").touch()
        (directory / "cgroup.procs").touch()
        mounts[controller] = str(root / controller)
    return mounts


def test_v1_writes_each_limit_into_its_controllers_directory(tmp_path):
    mounts = fake_v1(tmp_path)
    for controller, file in (("memory", "memory.limit_in_bytes"), ("pids", "pids.max"), ("devices", "devices.deny")):
        (tmp_path / controller / "pycompose" / "c" / file).touch()
    manager = ManagerV1(mounts, "pycompose/c")
    skipped = manager.create(
        {
            "memory": {"limit": 1000, "swap": 2000},
            "pids": {"limit": 5},
            "devices": [{"allow": False, "access": "rwm"}],
            "cpu": {"cpus": "0"},
        }
    )
    read = lambda controller, file: (tmp_path / controller / "pycompose" / "c" / file).read_text()  # noqa: E731
    assert read("memory", "memory.limit_in_bytes") == "1000"
    assert read("pids", "pids.max") == "5"
    assert read("devices", "devices.deny") == "a"
    assert skipped == ["memory.memsw.limit_in_bytes", "cpuset.cpus"]
    assert [name for name, _ in manager.directories()] == list(ALWAYS)


@pytest.mark.parametrize(("limits", "expected"), [({"pids": {"limit": 5}}, False), ({"memory": {"limit": 9}}, True)])
def test_v1_a_limited_container_has_a_cpuset_for_java_to_find(tmp_path, limits, expected):
    mounts = fake_v1(tmp_path)
    (tmp_path / "memory/pycompose/c/memory.limit_in_bytes").touch()
    (tmp_path / "pids/pycompose/c/pids.max").touch()
    made = tmp_path / "cpuset" / ("pycompose/c" if expected else "")
    made.mkdir(parents=True)
    for folder in (tmp_path / "cpuset", tmp_path / "cpuset/pycompose", made) if expected else ():
        for file in ("cpuset.cpus", "cpuset.mems", "tasks"):
            (folder / file).write_text("0")
    manager = ManagerV1({**mounts, "cpuset": str(tmp_path / "cpuset")}, "pycompose/c")
    manager.create(limits)
    assert ("cpuset" in dict(manager.directories())) is expected


def test_v1_join_writes_zero_to_each_tasks_file_without_opening_anything(tmp_path):
    mounts = fake_v1(tmp_path)
    manager = ManagerV1(mounts, "pycompose/c")
    manager.create({})
    (tmp_path / "memory").rename(tmp_path / "moved")  # as after pivot_root: the path is gone
    manager.join()
    assert (tmp_path / "moved/pycompose/c/tasks").read_text() == "0"
    assert (tmp_path / "pids/pycompose/c/tasks").read_text() == "0"


def test_v1_a_required_file_that_is_missing_is_an_error(tmp_path):
    manager = ManagerV1(fake_v1(tmp_path), "pycompose/c")
    (tmp_path / "memory/pycompose/c/memory.limit_in_bytes").mkdir()
    with pytest.raises(SyscallError, match=r"memory\.limit_in_bytes"):
        manager.create({"memory": {"limit": 1000}})


def test_v1_reads_usage_and_oom_kills(tmp_path):
    mounts = fake_v1(tmp_path)
    memory = tmp_path / "memory/pycompose/c"
    (memory / "memory.usage_in_bytes").write_text("123\n")
    (memory / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    (tmp_path / "pids/pycompose/c/pids.current").write_text("3\n")
    (tmp_path / "pids/pycompose/c/pids.max").write_text("max\n")
    (tmp_path / "cpuacct/pycompose/c/cpuacct.usage").write_text("99\n")
    manager = ManagerV1(mounts, "pycompose/c")
    stats = manager.stats()
    assert stats["memory"]["usage"] == 123
    assert stats["pids"] == {"current": 3, "limit": None}
    assert stats["cpu"]["usage_ns"] == 99
    assert manager.oom_kill_count() == 2


def test_v2_makes_the_cgroup_delegates_controllers_and_loads_the_device_program(tmp_path):
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpu\n")
    path = tmp_path / "pycompose"
    path.mkdir()
    (path / "cgroup.procs").touch()
    (path / "memory.max").touch()
    loaded = []
    manager = ManagerV2(str(tmp_path), "pycompose", lambda fd, program: loaded.append((os.fstat(fd), program)))
    skipped = manager.create({"memory": {"limit": 5, "swap": 9}, "devices": [{"allow": False, "access": "rwm"}]})
    assert skipped == ["memory.swap.max"]
    assert (path / "memory.max").read_text() == "5"
    assert len(loaded) == 1
    manager.join()
    assert (path / "cgroup.procs").read_text() == "0"
    assert manager.directories() == [("", str(path))]


def test_v2_reads_usage_in_bytes_and_nanoseconds(tmp_path):
    path = tmp_path / "c"
    path.mkdir()
    (path / "memory.current").write_text("7\n")
    (path / "memory.max").write_text("max\n")
    (path / "memory.events").write_text("low 0\nmax 4\noom 1\noom_kill 1\n")
    (path / "cpu.stat").write_text("usage_usec 5\nuser_usec 3\nsystem_usec 2\n")
    (path / "io.stat").write_text("8:0 rbytes=10 wbytes=20 rios=1 wios=2\n9:0 rbytes=1 wbytes=2\n")
    manager = ManagerV2(str(tmp_path), "c")
    stats = manager.stats()
    assert stats["memory"]["usage"] == 7
    assert stats["memory"]["limit"] is None
    assert stats["cpu"]["usage_ns"] == 5000
    assert stats["io"] == {"read_bytes": 11, "write_bytes": 22}
    assert manager.oom_kill_count() == 1


def test_v2_what_enters_a_cgroup_that_hands_controllers_on_goes_beside_its_first_process(tmp_path):
    for folder, members in (("c", ""), ("c/init.scope", "7\n"), ("c/system.slice/a.service", "12\n13\n")):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "cgroup.procs").write_text(members)
    (tmp_path / "c/cgroup.subtree_control").write_text("memory pids\n")
    manager = ManagerV2(str(tmp_path), "c")
    manager.adopt()
    manager.join()
    assert (tmp_path / "c/init.scope/cgroup.procs").read_text().startswith("0")
    assert (tmp_path / "c/cgroup.procs").read_text() == ""
    (tmp_path / "c/cgroup.subtree_control").write_text("\n")
    plain = ManagerV2(str(tmp_path), "c")
    plain.adopt()
    plain.join()
    assert (tmp_path / "c/cgroup.procs").read_text() == "0"

"""Which hierarchies there are, and what becomes of the parents of our cgroups."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.cgroups.layout import Layout, detect
from runtime.cgroups.v1 import ManagerV1

if TYPE_CHECKING:
    from pathlib import Path


def test_empty_parents_go_and_those_in_use_stay(tmp_path: Path) -> None:
    (tmp_path / "memory/pycompose/one").mkdir(parents=True)
    (tmp_path / "pids/pycompose/one").mkdir(parents=True)
    (tmp_path / "pids/pycompose/two").mkdir()
    layout = Layout(1, {"memory": str(tmp_path / "memory"), "pids": str(tmp_path / "pids")})
    layout.prune("pycompose/one")
    assert list((tmp_path / "memory").iterdir()) == []
    assert [path.name for path in (tmp_path / "pids/pycompose").iterdir()] == ["two"]


def test_a_container_s_cgroup_is_made_though_its_parents_were_just_removed(tmp_path: Path) -> None:
    layout = Layout(1, {"pids": str(tmp_path)})
    layout.prune("pycompose/one")
    manager = layout.manager("pycompose/one/container")
    manager._make(str(tmp_path / "pycompose/one/container"))
    assert (tmp_path / "pycompose/one/container").is_dir()


def test_hierarchies_without_controllers_are_known_beside_those_with(tmp_path: Path) -> None:
    for name in ("memory", "systemd", "unified"):
        (tmp_path / name).mkdir()
    found = detect(
        f"1 0 0:1 / {tmp_path}/memory rw - cgroup cgroup rw,memory\n"
        f"2 0 0:2 / {tmp_path}/systemd rw - cgroup cgroup rw,name=systemd\n"
        f"3 0 0:3 / {tmp_path}/unified rw - cgroup2 cgroup2 rw\n"
    )
    assert found.version == 1
    assert found.mounts == {
        "memory": f"{tmp_path}/memory",
        "unified": f"{tmp_path}/unified",
        "name=systemd": f"{tmp_path}/systemd",
    }


def test_a_container_that_manages_cgroups_gets_one_in_every_hierarchy(tmp_path: Path) -> None:
    mounts = {name: str(tmp_path / name) for name in ("memory", "blkio", "name=systemd", "unified")}
    for path in mounts.values():
        os.mkdir(path)
        os.makedirs(f"{path}/a/b", exist_ok=True)
        for file in ("tasks", "cgroup.procs"):
            open(f"{path}/a/b/{file}", "w", encoding="ascii").close()
    plain = ManagerV1(mounts, "a/b")
    assert [name for name, _ in plain.directories()] == ["memory"]
    everywhere = ManagerV1(mounts, "a/b")
    everywhere.create({"x-all-hierarchies": True})
    assert sorted(name for name, _ in everywhere.directories()) == sorted(os.path.basename(p) for p in mounts.values())


def test_pruning_goes_on_above_what_another_has_removed_already(tmp_path: Path) -> None:
    for mount in ("cpu", "memory"):
        (tmp_path / mount / "pycompose").mkdir(parents=True)
    (tmp_path / "memory" / "pycompose" / "other").mkdir()
    Layout(1, {name: f"{tmp_path}/{name}" for name in ("cpu", "memory")}).prune("pycompose/gone")
    assert not (tmp_path / "cpu" / "pycompose").exists()
    assert (tmp_path / "memory" / "pycompose" / "other").exists()

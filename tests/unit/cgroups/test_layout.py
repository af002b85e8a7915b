"""Which hierarchies there are, and what becomes of the parents of our cgroups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.cgroups.layout import Layout

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

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Conflict, InvalidParameter, NotFound, SystemFailure
from runtime.linux import procfs
from runtime.oci import state

if TYPE_CHECKING:
    from pathlib import Path


def running(root: Path, **changes: object) -> state.Record:
    record = state.make(str(root), "box", {"process": {}}, "/b")
    record.data |= {"pid": os.getpid(), "start_time": procfs.start_time(os.getpid()), "boot_id": procfs.boot_id()}
    record.data |= changes
    record.save()
    return state.load(str(root), "box")


def test_the_status_is_found_and_not_stored(tmp_path: Path) -> None:
    assert state.make(str(tmp_path), "new", {}, "/b").status() == "creating"
    record = running(tmp_path)
    assert record.status() == "running"
    with open(record.gate, "w", encoding="ascii"):
        assert record.status() == "created"
    os.unlink(record.gate)
    record.data["paused"] = True
    assert record.status() == "paused"


@pytest.mark.parametrize("changes", [{"start_time": 1}, {"boot_id": "another"}, {"pid": 2**22 - 1}])
def test_a_reused_pid_is_not_the_container(tmp_path: Path, changes: dict[str, object]) -> None:
    assert running(tmp_path, **changes).status() == "stopped"


def test_an_id_is_used_once(tmp_path: Path) -> None:
    state.make(str(tmp_path), "box", {}, "/b")
    with pytest.raises(Conflict, match="id is in use"):
        state.make(str(tmp_path), "box", {}, "/b")


@pytest.mark.parametrize("name", ["", "..", "a/b", "../x", "a b", "a\n"])
def test_an_id_is_never_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidParameter):
        state.make(str(tmp_path), name, {}, "/b")


def test_damage_is_named_and_absence_is_not_damage(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="container box: does not exist"):
        state.load(str(tmp_path), "box")
    record = state.make(str(tmp_path), "box", {}, "/b")
    with open(f"{record.directory}/state.json", "w", encoding="ascii") as file:
        file.write("{")
    with pytest.raises(SystemFailure, match="state is damaged"):
        state.load(str(tmp_path), "box")
    record.remove()
    assert state.names(str(tmp_path)) == []


def test_the_configuration_is_that_of_the_creation(tmp_path: Path) -> None:
    record = state.make(str(tmp_path), "box", {"hostname": "h"}, "/b")
    assert record.spec() == {"hostname": "h"}


@pytest.mark.parametrize("text", ["[]", '"x"', "{}", '{"id": "box"}', "{", "\x00", ""])
def test_a_state_file_of_another_form_is_damage(tmp_path: Path, text: str) -> None:
    record = state.make(str(tmp_path), "box", {}, "/b")
    with open(f"{record.directory}/state.json", "w", encoding="ascii") as file:
        file.write(text)
    with pytest.raises(SystemFailure, match="container box: state is damaged"):
        state.load(str(tmp_path), "box")
    state.without_state(str(tmp_path), "box").remove()
    assert os.listdir(tmp_path) == []


def test_a_damaged_configuration_is_named(tmp_path: Path) -> None:
    record = state.make(str(tmp_path), "box", {}, "/b")
    with open(f"{record.directory}/config.json", "w", encoding="ascii") as file:
        file.write("{")
    with pytest.raises(SystemFailure, match="container box: configuration is damaged"):
        record.spec()


def test_directories_without_a_state_are_no_containers(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    state.make(str(tmp_path), "box", {}, "/b")
    assert state.names(str(tmp_path)) == ["box"]

"""Volumes on disk."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.errors import Conflict, InvalidParameter, NotFound, SystemFailure
from runtime.paths import Paths
from runtime.volumes.store import ANONYMOUS_LABEL, VolumeInspect, VolumeStore, driver_mount

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def store(tmp_path: Path) -> VolumeStore:
    return VolumeStore(Paths(root=str(tmp_path), run=""))


def test_a_volume_is_a_plain_directory_in_docker_s_layout(store: VolumeStore, tmp_path: Path) -> None:
    volume = store.create("app_data", labels={"a": "b"})
    assert volume["Mountpoint"] == f"{tmp_path}/volumes/app_data/_data"
    assert os.path.isdir(volume["Mountpoint"])
    assert (volume["Driver"], volume["Labels"], volume["Options"], volume["Scope"]) == (
        "local",
        {"a": "b"},
        {},
        "local",
    )
    assert store.list() == [store.inspect("app_data")] == [volume]


def test_creating_again_returns_what_is_there(store: VolumeStore) -> None:
    first = store.create("data", labels={"a": "b"})
    Path(first["Mountpoint"], "file").write_text("x")
    assert store.create("data", labels={"other": "x"}) == first
    assert os.listdir(first["Mountpoint"]) == ["file"]
    with pytest.raises(Conflict, match="already exists with driver local"):
        store.create("data", "nfs")


def test_a_volume_without_a_name_is_anonymous(store: VolumeStore) -> None:
    volume = store.create()
    assert len(volume["Name"]) == 64
    assert volume["Labels"] == {ANONYMOUS_LABEL: ""}


def test_removal_is_a_rename_into_the_trash(store: VolumeStore, tmp_path: Path) -> None:
    Path(store.create("data")["Mountpoint"], "file").write_text("x")
    store.remove("data")
    assert not store.exists("data")
    [entry] = (tmp_path / "trash").iterdir()
    assert (entry / "_data/file").exists()
    for name in ("data", "never"):
        with pytest.raises(NotFound, match=f"get {name}: no such volume"):
            store.remove(name)
    with pytest.raises(NotFound):
        store.inspect("data")


@pytest.mark.parametrize("name", ["x", "../x", "a/b", ".hidden", "-x", "a b", "a\n", "é" * 3, "n" * 256])
def test_a_name_that_is_no_plain_word_is_refused(store: VolumeStore, name: str) -> None:
    for act in (store.create, store.remove, store.mountpoint):
        with pytest.raises(InvalidParameter, match="invalid characters"):
            act(name)
    assert not store.exists(name)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "{}", '{"driver":1,"options":[],"labels":{},"created":""}'])
def test_data_outlives_its_record(store: VolumeStore, text: str) -> None:
    volume = store.create("data", labels={"a": "b"})
    Path(volume["Mountpoint"], "file").write_text("x")
    record = Path(store.root, "data/volume.json")
    record.write_text(text)
    found = store.inspect("data")
    assert (found["Driver"], found["Labels"]) == ("local", {})
    assert os.listdir(found["Mountpoint"]) == ["file"]
    assert "unreadable volume record" in store.problems["data"]
    assert record.with_suffix(".json.corrupt").read_text() == text
    assert store.inspect("data") == found


def test_a_creation_cut_short_is_no_volume_and_is_swept(store: VolumeStore) -> None:
    store.create("data")
    Path(store.root, ".tmp-other-1/_data").mkdir(parents=True)
    assert [volume["Name"] for volume in store.list()] == ["data"]
    store.sweep()
    assert os.listdir(store.root) == ["data"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "1g"}, 'invalid option: "size"'),
        ({"type": "nfs"}, 'missing required option: "device"'),
        ({"device": "/x"}, 'missing required option: "type"'),
        ({"o": "bind", "type": "none"}, 'missing required option: "device"'),
    ],
)
def test_options_of_the_local_driver_are_checked(store: VolumeStore, options: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        store.create("data", "local", options)
    assert not store.exists("data")


def test_another_driver_is_not_found(store: VolumeStore) -> None:
    with pytest.raises(NotFound, match='driver "rexray" not found'):
        store.create("data", "rexray")


def failing(_name: str) -> str:
    raise OSError("no such host")


@pytest.mark.parametrize(
    ("options", "lookup", "mount"),
    [
        ({}, failing, None),
        (
            {"type": "none", "o": "bind", "device": "/srv/x"},
            failing,
            {"type": "bind", "source": "/srv/x", "options": ["bind"]},
        ),
        (
            {"type": "tmpfs", "o": "size=10m,uid=5", "device": "tmpfs"},
            failing,
            {"type": "tmpfs", "source": "tmpfs", "options": ["size=10m", "uid=5"]},
        ),
        (
            {"type": "nfs", "o": "addr=nas,rw,nfsvers=4", "device": ":/export"},
            lambda name: {"nas": "192.0.2.7"}[name],
            {"type": "nfs", "source": ":/export", "options": ["addr=192.0.2.7", "rw", "nfsvers=4"]},
        ),
    ],
)
def test_driver_options_become_a_mount(
    store: VolumeStore, options: dict[str, str], lookup: Callable[[str], str], mount: dict[str, object] | None
) -> None:
    volume = store.create("data", "local", options)
    assert driver_mount(volume, lookup) == mount


def test_an_address_that_cannot_be_looked_up_is_named(store: VolumeStore) -> None:
    volume: VolumeInspect = store.create("data", "local", {"type": "nfs", "o": "addr=nas", "device": ":/x"})
    with pytest.raises(SystemFailure, match="volume data: addr=nas: no such host"):
        driver_mount(volume, failing)


def test_a_volume_whose_data_directory_was_deleted_gets_an_empty_one(store: VolumeStore) -> None:
    first = store.create("data", labels={"a": "b"})
    os.rmdir(first["Mountpoint"])
    assert store.create("data") == first
    assert os.listdir(first["Mountpoint"]) == []

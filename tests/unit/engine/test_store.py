"""Records on disk: what cannot be read is set aside, the rest is read."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from runtime.engine.records import ContainerRecord
from runtime.engine.store import Store
from runtime.paths import Paths

if TYPE_CHECKING:
    from pathlib import Path


def record(number: int) -> ContainerRecord:
    return ContainerRecord(
        id=f"{number:064x}",
        name=f"c{number}",
        created="2026-01-01T00:00:00Z",
        image="sha256:0",
        config={},
        host_config={},
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(Paths(root=str(tmp_path / "data"), run=str(tmp_path / "run")))


def test_what_is_written_is_read_back(store: Store) -> None:
    asyncio.run(store.write_container(record(1)))
    assert store.read_containers() == [record(1)]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "{}", '{"schema": "state/container/v9"}', '{"schema": "state/container/v1"}', "\x00\xff"],
)
def test_a_broken_record_is_set_aside_and_the_others_are_read(store: Store, content: str) -> None:
    asyncio.run(store.write_container(record(1)))
    asyncio.run(store.write_container(record(2)))
    path = store.container_file(record(2))
    with open(path, "w", encoding="latin-1") as stream:
        stream.write(content)
    assert [item.name for item in store.read_containers()] == ["c1"]
    assert store.quarantined == [path]
    with open(f"{path}.bad", encoding="latin-1") as stream:
        assert stream.read() == content
    assert [item.name for item in store.read_containers()] == ["c1"]


def test_a_record_of_a_newer_version_is_read_as_far_as_it_is_known(store: Store) -> None:
    asyncio.run(store.write_container(record(1)))
    path = store.container_file(record(1))
    with open(path, encoding="utf-8") as stream:
        data = json.load(stream)
    with open(path, "w", encoding="utf-8") as stream:
        json.dump({**data, "from_the_future": 1}, stream)
    assert store.read_containers() == [record(1)]


def test_a_folder_without_a_record_was_never_finished_and_goes(store: Store, tmp_path: Path) -> None:
    (tmp_path / "data/containers/half").mkdir()
    assert store.read_containers() == []
    assert not (tmp_path / "data/containers/half").exists()


def test_the_engine_keeps_its_id(store: Store) -> None:
    assert store.engine_id() == store.engine_id()
    assert len(store.engine_id()) == 8

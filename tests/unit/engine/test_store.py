"""Records on disk: what cannot be read is set aside, the rest is read."""

from __future__ import annotations

import asyncio
import errno
import json
import os
from typing import TYPE_CHECKING

import pytest

from runtime.engine import store as module
from runtime.engine.records import ContainerRecord
from runtime.engine.store import Store
from runtime.errors import SystemFailure
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


def test_a_plain_file_among_the_folders_is_set_aside_and_named_as_it_is(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    path = f"{store.paths.networks}/stray"
    with open(path, "w", encoding="utf-8") as stream:
        stream.write("x")
    assert store.read_networks() == []
    assert store.quarantined == [path]
    assert f"record {path} cannot be read (Not a directory): set aside as {path}.bad" in caplog.text
    with open(f"{path}.bad", encoding="utf-8") as stream:
        assert stream.read() == "x"
    assert store.read_networks() == []
    assert store.quarantined == [path]


def test_networks_without_a_record_are_known_by_their_folders(store: Store) -> None:
    store.announce_network("a" * 64)
    store.announce_network("b" * 64)
    with open(f"{store.network_folder('b' * 64)}/config.json", "w", encoding="utf-8") as stream:
        stream.write("{")
    assert store.read_networks() == []
    assert store.lost_networks() == ["a" * 64, "b" * 64]


def test_what_happened_is_written_as_soon_as_the_disk_takes_it(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "SAVE_AGAIN", 0.01)
    full = True

    def write(path: str, data: dict[str, object]) -> None:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_really(path, data)

    write_really = module._write_with_folder
    monkeypatch.setattr(module, "_write_with_folder", write)

    async def main() -> None:
        nonlocal full
        os.makedirs(store.paths.container(record(1).id))
        with pytest.raises(SystemFailure, match=r"config\.json cannot be written: no space left on device"):
            await store.write_container(record(2))
        await store.note_container(record(1))
        full = False
        while not os.path.exists(store.container_file(record(1))):  # noqa: ASYNC110 - what is awaited is a file
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 5))
    assert "container c1: record" in caplog.text
    assert [item.name for item in store.read_containers()] == ["c1"]

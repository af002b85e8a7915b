"""Records on disk."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from runtime.linux import atomicfile

if TYPE_CHECKING:
    from pathlib import Path


def test_a_record_is_read_back_and_private(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    atomicfile.write_json(str(path), {"a": [1, "é"]})
    assert atomicfile.read_json(str(path)) == {"a": [1, "é"]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_record_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    atomicfile.write_json(str(path), {"old": True})
    with pytest.raises(TypeError):
        atomicfile.write_json(str(path), {"new": object()})
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        atomicfile.write_text(str(tmp_path / "folder"), "x")
    assert atomicfile.read_json(str(path)) == {"old": True}
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["folder", "record.json"]


@pytest.mark.parametrize("text", ["", "{", "\0" * 40, "[" * 100_000, b"\xff\xfe".decode("latin1")])
def test_garbage_is_a_value_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "record.json"
    path.write_text(text)
    with pytest.raises(ValueError):
        atomicfile.read_json(str(path))

"""Marking a directory whose subdirectories are unrelated."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.linux.inodeflags import mark_top_of_hierarchies

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_system_without_the_attribute_is_left_alone() -> None:
    mark_top_of_hierarchies("/proc")


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    mark_top_of_hierarchies(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        mark_top_of_hierarchies(str(tmp_path / "gone"))

"""Archives as contexts: whatever they are compressed with, and files that are none."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

import pytest

from runtime.build.remotes import archive_stream

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:bz2", "w:xz"])
def test_an_archive_is_known_by_its_content(tmp_path: Path, kind: str) -> None:
    (tmp_path / "word").write_text("inside")
    with tarfile.open(tmp_path / "archive", kind) as archive:  # type: ignore[call-overload]
        archive.add(tmp_path / "word", "word")
    with open(tmp_path / "archive", "rb") as file:
        stream = archive_stream(file)
        assert stream is not None
        with tarfile.open(fileobj=stream, mode="r|") as found:
            assert found.getnames() == ["word"]


@pytest.mark.parametrize("content", [b"", b"FROM scratch\n", b"\x1f\x8bdamaged", bytes(2000)])
def test_a_file_that_is_no_archive_is_left_at_its_start(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with open(tmp_path / "file", "rb") as file:
        assert archive_stream(file) is None
        assert file.read() == content

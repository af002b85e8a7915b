"""Unpacking into a tree that may be hostile: nothing leaves the root, what fails does not stop the rest."""

from __future__ import annotations

import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidParameter
from runtime.linux.syscalls import KERNEL
from runtime.shim.extract import ROOT, Extraction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Container:
    """A root directory, something outside of it, and an extraction."""

    def __init__(self, folder: Path) -> None:
        self.outside = folder / "outside"
        self.root = folder / "root"
        self.outside.mkdir()
        self.root.mkdir()
        (self.outside / "secret").write_text("untouched")
        self.fd = os.open(self.root, ROOT)
        self.extraction = Extraction(KERNEL, self.fd)

    def unpack(self, path: str, *entries: tuple[str, str | bytes | None]) -> None:
        """A name with bytes is a file, with text a symbolic link, with None a directory."""
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, content in entries:
                info = tarfile.TarInfo(name)
                info.uid, info.gid, info.mode, info.mtime = os.getuid(), os.getgid(), 0o750, 1_700_000_000
                if content is None:
                    info.type = tarfile.DIRTYPE
                elif isinstance(content, str):
                    info.type, info.linkname = tarfile.SYMTYPE, content
                else:
                    info.size = len(content)
                archive.addfile(info, io.BytesIO(content) if isinstance(content, bytes) else None)
        buffer.seek(0)
        self.extraction.unpack(path, buffer)


@pytest.fixture
def container(tmp_path: Path) -> Iterator[Container]:
    made = Container(tmp_path)
    yield made
    os.close(made.fd)
    assert (made.outside / "secret").read_text() == "untouched"
    assert os.listdir(made.outside) == ["secret"]


def test_files_are_put_below_the_path_with_mode_and_time(container: Container) -> None:
    container.unpack("/app", ("a/b.txt", b"hello"), ("empty", None))
    made = container.root / "app" / "a" / "b.txt"
    assert made.read_bytes() == b"hello"
    assert made.stat().st_mode & 0o777 == 0o750
    assert made.stat().st_mtime == 1_700_000_000
    assert (container.root / "app" / "empty").is_dir()
    assert container.extraction.outcome() == {"Written": 2, "Deleted": 0, "Failed": 0, "Failures": []}


def test_a_file_is_replaced_as_a_whole_and_no_temporary_stays(container: Container) -> None:
    target = container.root / "f"
    target.write_text("old")
    with target.open() as reader:
        container.unpack("/", ("f", b"new"))
        assert reader.read() == "old"
    assert target.read_text() == "new"
    assert os.listdir(container.root) == ["f"]


def test_a_directory_gives_way_to_a_file_and_a_file_to_a_directory(container: Container) -> None:
    (container.root / "was-dir" / "deep").mkdir(parents=True)
    (container.root / "was-file").write_text("x")
    container.unpack("/", ("was-dir", b"file"), ("was-file", None), ("was-file/in", b"y"))
    assert (container.root / "was-dir").read_bytes() == b"file"
    assert (container.root / "was-file" / "in").read_bytes() == b"y"


def test_links_are_resolved_inside_the_root(container: Container) -> None:
    (container.root / "abs").symlink_to(container.outside)
    (container.root / "up").symlink_to("../outside")
    container.unpack("/", ("up/secret", b"mine"), ("abs/secret", b"mine"))
    assert (container.root / "outside" / "secret").read_bytes() == b"mine"
    inside = container.root / str(container.outside).lstrip("/")
    assert (inside / "secret").read_bytes() == b"mine"


def test_a_link_at_the_place_of_a_file_is_replaced_not_followed(container: Container) -> None:
    (container.root / "f").symlink_to(container.outside / "secret")
    container.unpack("/", ("f", b"mine"))
    assert not (container.root / "f").is_symlink()


def test_a_directory_entry_keeps_a_link_to_a_directory(container: Container) -> None:
    (container.root / "real").mkdir()
    (container.root / "app").symlink_to("real")
    container.unpack("/", ("app", None), ("app/f", b"x"))
    assert (container.root / "app").is_symlink()
    assert (container.root / "real" / "f").read_bytes() == b"x"


def test_names_that_climb_are_refused_and_the_rest_is_written(container: Container) -> None:
    with pytest.raises(InvalidParameter, match=r"contains"):
        container.unpack("/app/../..", ("f", b"x"))
    container.unpack("/", ("ok", b"x"), ("dir-in-the-way", b"x"), ("dir-in-the-way/f", b"y"), ("ok2", b"z"))
    outcome = container.extraction.outcome()
    assert (outcome["Written"], outcome["Failed"]) == (3, 1)
    assert outcome["Failures"] == [{"Path": "/dir-in-the-way/f", "Error": "not a directory"}]


def test_deletions_take_trees_and_do_not_mind_what_is_missing(container: Container) -> None:
    (container.root / "a" / "b").mkdir(parents=True)
    (container.root / "a" / "b" / "f").touch()
    (container.root / "link").symlink_to(container.outside)
    container.extraction.delete(["/a", "/missing/x", "/link", "/"])
    assert os.listdir(container.root) == []
    outcome = container.extraction.outcome()
    assert (outcome["Deleted"], outcome["Failed"]) == (2, 1)
    assert outcome["Failures"][0]["Path"] == "/"


def test_what_is_not_tar_is_an_error(container: Container) -> None:
    with pytest.raises(InvalidParameter):
        container.extraction.unpack("/", io.BytesIO(b"x" * 1024))


def test_devices_are_not_made(container: Container) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("null")
        info.type = tarfile.CHRTYPE
        archive.addfile(info)
    buffer.seek(0)
    container.extraction.unpack("/", buffer)
    assert container.extraction.failed == 1
    assert os.listdir(container.root) == []

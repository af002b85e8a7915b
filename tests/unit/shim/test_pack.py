"""Reading a container's files: names, links that stay inside, trees as tar streams."""

from __future__ import annotations

import io
import os
import tarfile
import threading
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidParameter, NotFound
from runtime.linux.syscalls import KERNEL
from runtime.shim import pack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A root directory with files and links, one of which wants to lead out."""
    (tmp_path / "secret").write_text("outside")
    root = tmp_path / "root"
    (root / "w/sub").mkdir(parents=True)
    (root / "w/file").write_text("file")
    os.link(root / "w/file", root / "w/hard")
    (root / "w/sub/s").write_text("s" * 1000)
    os.symlink("../../../secret", root / "w/climbing")
    os.symlink("/w/sub", root / "w/dir")
    os.symlink("loop", root / "w/loop")
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    yield root, fd
    os.close(fd)


def packed(fd: int, path: str) -> tarfile.TarFile:
    reader, writer = os.pipe()
    data = bytearray()

    def read() -> None:
        while piece := os.read(reader, 65536):
            data.extend(piece)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        pack.write(KERNEL, fd, path, writer)
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)
    return tarfile.open(fileobj=io.BytesIO(bytes(data)))


def test_names_begin_with_the_last_component(tree: tuple[Path, int]) -> None:
    names = ["w", "w/climbing", "w/dir", "w/file", "w/hard", "w/loop", "w/sub", "w/sub/s"]
    assert packed(tree[1], "/w").getnames() == names
    assert packed(tree[1], "w/.").getnames() == [".", *("./" + name[2:] for name in names[1:])]
    assert packed(tree[1], "/w/dir/").getnames() == ["dir", "dir/s"]
    assert packed(tree[1], "/w/sub/s").getnames() == ["s"]
    assert packed(tree[1], "/").getnames()[:2] == [".", "./w"]


def test_files_links_and_hard_links_come_as_they_are(tree: tuple[Path, int]) -> None:
    made = packed(tree[1], "/w")
    content = made.extractfile("w/sub/s")
    assert content is not None
    assert content.read() == b"s" * 1000
    assert made.getmember("w/climbing").linkname == "../../../secret"
    assert made.getmember("w/hard").islnk()
    assert made.getmember("w/hard").linkname == "w/file"


def test_links_are_resolved_inside(tree: tuple[Path, int]) -> None:
    root, fd = tree
    look = lambda path, follow=True: pack.look(KERNEL, fd, path, follow=follow)  # noqa: E731
    assert look("/w/climbing", follow=False)["Kind"] == "link"
    assert look("/w/climbing") == {"Path": "/w/../../../secret", "Kind": "", "Mode": 0, "Size": 0}
    (root / "secret").mkdir()
    assert look("/w/climbing")["Kind"] == "directory"
    assert look("/w/dir")["Path"] == "/w/sub"
    with pytest.raises(InvalidParameter, match="symbolic links"):
        look("/w/loop")


@pytest.mark.parametrize("path", ["/nowhere", "/w/nowhere/x", "/w/climbing/x"])
def test_what_is_not_there_is_named(tree: tuple[Path, int], path: str) -> None:
    with pytest.raises(NotFound, match=f"could not find the file {path}"):
        packed(tree[1], path)


def test_a_file_is_no_directory(tree: tuple[Path, int]) -> None:
    with pytest.raises(InvalidParameter, match="not a directory"):
        packed(tree[1], "/w/file/")

from __future__ import annotations

import fcntl
import os
import stat
import threading
from typing import TYPE_CHECKING

import pytest

from runtime.oci import copyup

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    (root / "sub").mkdir(parents=True)
    (root / "sub/file").write_text("content")
    (root / "sub/file").chmod(0o4751)
    os.link(root / "sub/file", root / "hard")
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "fifo", 0o640)
    os.utime(root / "sub", ns=(1, 2))
    root.chmod(0o1770)
    (tmp_path / "volume").mkdir()
    return root


def fill(image: Path, volume: Path) -> bool:
    fd = os.open(image, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return copyup.fill_empty(fd, str(volume))
    finally:
        os.close(fd)


def test_an_empty_volume_takes_over_the_image(image: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    assert fill(image, volume)
    assert (volume / "sub/file").read_text() == "content"
    assert stat.S_IMODE((volume / "sub/file").stat().st_mode) == 0o4751
    assert (volume / "hard").stat().st_ino == (volume / "sub/file").stat().st_ino
    assert os.readlink(volume / "link") == "/etc/passwd"
    assert stat.S_ISFIFO((volume / "fifo").stat().st_mode)
    assert stat.S_IMODE(volume.stat().st_mode) == 0o1770
    assert (volume / "sub").stat().st_mtime_ns == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_owners_and_capabilities_are_kept(image: Path, tmp_path: Path) -> None:
    os.chown(image, 999, 998)
    os.chown(image / "link", 7, 8, follow_symlinks=False)
    os.chown(image / "sub/file", 5, 6)
    os.setxattr(image / "sub/file", "trusted.overlay.origin", b"x")
    os.setxattr(image / "sub/file", "trusted.keep", b"y")
    assert fill(image, tmp_path / "volume")
    owner = (tmp_path / "volume").stat()
    assert (owner.st_uid, owner.st_gid) == (999, 998)
    link = (tmp_path / "volume/link").lstat()
    assert (link.st_uid, link.st_gid) == (7, 8)
    assert os.listxattr(tmp_path / "volume/sub/file") == ["trusted.keep"]


def test_a_volume_with_anything_in_it_is_left_alone(image: Path, tmp_path: Path) -> None:
    (tmp_path / "volume/mine").touch()
    assert not fill(image, tmp_path / "volume")
    assert os.listdir(tmp_path / "volume") == ["mine"]


def test_the_second_of_two_waits_for_the_first(image: Path, tmp_path: Path) -> None:
    held = os.open(tmp_path / "volume", os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    answers: list[bool] = []
    second = threading.Thread(target=lambda: answers.append(fill(image, tmp_path / "volume")))
    second.start()
    (tmp_path / "volume/from-the-first").touch()
    os.close(held)
    second.join(10)
    assert answers == [False]
    assert os.listdir(tmp_path / "volume") == ["from-the-first"]

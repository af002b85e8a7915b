"""A container's tar stream on this machine: a stranger's, who wants to write elsewhere."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from compose.errors import ComposeError
from compose.usecases import localpack
from compose.usecases.localunpack import unpack

if TYPE_CHECKING:
    from pathlib import Path


def archive(*members: tuple[str, str, str]) -> list[bytes]:
    """A tar stream of (name, kind, content or link)."""
    buffer = io.BytesIO()
    kinds = {"link": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dir": tarfile.DIRTYPE, "device": tarfile.CHRTYPE}
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind, what in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o4755 if kind == "file" else 0o755
            if kind == "file":
                info.size = len(what)
                made.addfile(info, io.BytesIO(what.encode()))
                continue
            info.type, info.linkname = kinds[kind], what
            made.addfile(info)
    return [buffer.getvalue()[at : at + 700] for at in range(0, len(buffer.getvalue()), 700)]


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "outside"
    made.mkdir()
    (made / "precious").write_text("kept")
    return made


def test_a_tree_gets_its_new_name_and_no_user_id_bit(tmp_path: Path) -> None:
    unpack(
        iter(archive(("w", "dir", ""), ("w/f", "file", "x"), ("w/h", "hard", "w/f"))), str(tmp_path), "w", "new", print
    )
    assert (tmp_path / "new/f").read_text() == "x"
    assert stat.S_IMODE((tmp_path / "new/f").stat().st_mode) == 0o755
    assert (tmp_path / "new/f").samefile(tmp_path / "new/h")


@pytest.mark.parametrize("name", ["../x", "w/../../x", "/x", "x", "w/a/../../../x"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ComposeError, match="unexpected name"):
        unpack(iter(archive((name, "file", "x"))), str(tmp_path), "w", "", print)
    assert os.listdir(tmp_path) == []


def test_links_are_made_and_not_followed(tmp_path: Path, outside: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    through = archive(("w", "dir", ""), ("w/l", "link", str(outside)), ("w/l/precious", "file", "gone"))
    with pytest.raises(ComposeError):
        unpack(iter(through), str(target), "w", "", print)
    over = archive(("w", "dir", ""), ("w/f", "link", str(outside / "precious")), ("w/f", "file", "mine"))
    unpack(iter(over), str(target), "w", "", print)
    hard = archive(("w", "dir", ""), ("w/h", "hard", "w/l/precious"))
    with pytest.raises(ComposeError):
        unpack(iter(hard), str(target), "w", "", print)
    assert (outside / "precious").read_text() == "kept"
    assert (target / "w/f").read_text() == "mine"


def test_devices_are_told_and_left_out(tmp_path: Path) -> None:
    told: list[str] = []
    unpack(iter(archive(("w", "dir", ""), ("w/null", "device", ""))), str(tmp_path), "w", "", told.append)
    assert os.listdir(tmp_path / "w") == []
    assert told == [f"{tmp_path}/w/null: device not copied"]


def test_what_is_no_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match="cannot be read"):
        unpack(iter([b"x" * 2000]), str(tmp_path), "w", "", print)


def test_packing_and_unpacking_gives_the_same_tree(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "sub").mkdir(parents=True)
    (source / "sub/f").write_text("x" * 700_000)
    os.link(source / "sub/f", source / "sub/h")
    os.symlink("nowhere", source / "l")
    os.mkfifo(source / "p")
    found = localpack.source(f"{source}/.", follow=False)
    assert (found.name, found.is_directory) == (".", True)
    unpack(localpack.pieces(found.path, found.name), str(tmp_path / "."), ".", "copy", print)
    copy = tmp_path / "copy"
    assert sorted(os.listdir(copy)) == ["l", "p", "sub"]
    assert (copy / "sub/f").read_text() == (source / "sub/f").read_text()
    assert (copy / "sub/f").samefile(copy / "sub/h")
    assert os.readlink(copy / "l") == "nowhere"


def test_sources_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(ComposeError, match=r"lstat .*/nowhere: no such file or directory"):
        localpack.source(f"{tmp_path}/nowhere", follow=False)
    (tmp_path / "f").touch()
    with pytest.raises(ComposeError, match="not a directory"):
        localpack.source(f"{tmp_path}/f/", follow=False)

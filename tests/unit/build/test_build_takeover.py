"""Files that the layer before has already are named again, unless anything about them has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.build.entrycopy import Earlier, EntryCopier, How, files_of
from runtime.build.filedigests import FileDigests
from runtime.build.trees import Tree

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LONG_AGO = 1_000_000_000


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source" / "d"
    folder.mkdir(parents=True)
    for name in ("same", "other"):
        (folder / name).write_text(name)
        os.utime(folder / name, (LONG_AGO, LONG_AGO))
    return folder.parent


def copied(source: Path, target: Path, earlier: Earlier | None = None, how: How | None = None) -> dict[str, str]:
    """Copy the tree; what Earlier wants to know of it."""
    how = how or How()
    target.mkdir()
    tree = Tree(str(source))
    [match] = tree.select("/")
    directory = os.open(target, os.O_RDONLY)
    copier = EntryCopier(None, how, earlier)
    try:
        copier.children(tree.root, match.node.children or [], directory)
    finally:
        copier.close()
        os.close(directory)
        tree.close()
    return files_of(match.node.children or [], None, how)


def rewritten(path: Path) -> None:
    path.write_text("OTHER")
    os.utime(path, (LONG_AGO, LONG_AGO))


@pytest.mark.parametrize(
    "change",
    [
        rewritten,
        lambda path: path.chmod(0o600),
        lambda path: os.utime(path, (LONG_AGO, LONG_AGO + 1)),
        lambda path: os.setxattr(path, "user.mark", b"1"),
        lambda path: os.link(path, path.with_name("second")),
    ],
    ids=["content", "mode", "time", "attribute", "link"],
)
def test_only_what_is_alike_in_all_becomes_another_name(
    source: Path, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    files = copied(source, tmp_path / "first")
    change(source / "d" / "other")
    directory = os.open(tmp_path / "first", os.O_RDONLY)
    try:
        copied(source, tmp_path / "second", Earlier(directory, files))
    finally:
        os.close(directory)
    made = {name: tmp_path / name / "d" for name in ("first", "second")}
    assert os.path.samefile(made["first"] / "same", made["second"] / "same")
    assert not os.path.samefile(made["first"] / "other", made["second"] / "other")
    assert (made["second"] / "other").read_text() == (source / "d" / "other").read_text()


def test_another_mode_is_asked_for_and_nothing_is_taken_over(source: Path, tmp_path: Path) -> None:
    files = copied(source, tmp_path / "first")
    directory = os.open(tmp_path / "first", os.O_RDONLY)
    try:
        copied(source, tmp_path / "second", Earlier(directory, files), How(mode=lambda _mode, _directory: 0o751))
    finally:
        os.close(directory)
    assert (tmp_path / "second/d/same").stat().st_mode & 0o777 == 0o751
    assert (tmp_path / "first/d/same").stat().st_mode & 0o777 != 0o751


def test_an_attribute_that_a_known_file_gets_is_seen(source: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("runtime.build.filedigests._SETTLED", -1)
    place = str(tmp_path / "digests.json")

    def attributes() -> dict[str, bytes]:
        tree = Tree(str(source), digests=FileDigests(place))
        [match] = tree.select("d/same")
        tree.save()
        tree.close()
        return match.node.xattrs

    assert attributes() == attributes() == {}
    os.setxattr(source / "d" / "same", "user.mark", b"1")
    assert attributes() == attributes() == {"user.mark": b"1"}

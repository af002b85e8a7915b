"""Batches of changes, from real files: what editors, git and people do to a tree."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from compose.model.develop import DevelopConfig, Trigger
from compose.watch.rules import compile_rules
from compose.watch.session import Watcher, roots
from tests.kit import states

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SILENCE = 0.35
"""Seconds in which nothing more comes."""


class Tree:
    """A watched directory."""

    def __init__(self, folder: Path, watcher: Watcher) -> None:
        self.folder = folder
        self.watcher = watcher

    def batch(self, timeout: float = 5.0) -> dict[str, str]:
        """The next batch: relative path to what is there now."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            changes = self.watcher.next(0.1)
            if changes:
                paths = [change.path for change in changes]
                assert len(set(paths)) == len(paths)
                return {os.path.relpath(change.path, self.folder): change.kind for change in changes}
        return {}

    def until(self, path: str, kind: str) -> bool:
        """Take batches until one says this of the path; false when none comes."""
        while batch := self.batch():
            if batch.get(path) == kind:
                return True
        return False

    def quiet(self) -> None:
        assert self.batch(SILENCE) == {}


def watch(path: Path, **said: object) -> Watcher:
    trigger = Trigger(path=str(path), action="sync", target="/app", **said)  # type: ignore[arg-type]
    web = states.service("web", develop=DevelopConfig(watch=(trigger,)))
    return Watcher(compile_rules(states.project(web), (), lambda _: None)[0])


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    folder = tmp_path / "src"
    (folder / "pkg").mkdir(parents=True)
    (folder / "app.py").write_text("one\n")
    (folder / "pkg" / "mod.py").write_text("mod\n")
    with watch(folder, ignore=("build",)) as watcher:
        yield Tree(folder, watcher)


def test_a_written_file_is_one_change_and_soon(tree: Tree) -> None:
    began = time.perf_counter()
    (tree.folder / "app.py").write_text("two\n")
    assert tree.batch() == {"app.py": "file"}
    assert time.perf_counter() - began < 1
    tree.quiet()


def test_a_touched_or_rewritten_unchanged_file_is_none(tree: Tree) -> None:
    os.utime(tree.folder / "app.py")
    (tree.folder / "pkg" / "mod.py").write_text("mod\n")
    tree.quiet()


def test_a_changed_mode_is_a_change(tree: Tree) -> None:
    (tree.folder / "app.py").chmod(0o755)
    assert tree.batch() == {"app.py": "file"}


def test_an_atomic_save_is_a_change_of_the_file_alone(tree: Tree) -> None:
    for text in ("two\n", "three\n"):
        (tree.folder / ".app.py.swp").write_text(text)
        (tree.folder / ".app.py.swp").rename(tree.folder / "app.py")
        assert tree.batch() == {"app.py": "file"}
    tree.quiet()


def test_a_save_by_removing_and_writing_again_is_no_deletion(tree: Tree) -> None:
    (tree.folder / "app.py").rename(tree.folder / "app.py~")
    time.sleep(0.025)
    (tree.folder / "app.py").write_text("two\n")
    (tree.folder / "app.py~").unlink()
    assert tree.batch() == {"app.py": "file"}
    tree.quiet()


def test_a_file_that_is_cut_before_it_is_written_is_told_when_written(tree: Tree) -> None:
    with (tree.folder / "app.py").open("w") as file:
        file.flush()
        time.sleep(0.025)
        file.write("two\n")
    assert tree.batch() == {"app.py": "file"}
    tree.quiet()


def test_a_rename_is_one_batch(tree: Tree) -> None:
    (tree.folder / "app.py").rename(tree.folder / "main.py")
    assert tree.batch() == {"app.py": "gone", "main.py": "file"}
    tree.quiet()


def test_a_deleted_directory_takes_all_in_it_along(tree: Tree) -> None:
    shutil.rmtree(tree.folder / "pkg")
    assert tree.batch() == {"pkg": "gone", "pkg/mod.py": "gone"}
    tree.quiet()


def test_a_renamed_directory_is_gone_here_and_new_there(tree: Tree) -> None:
    (tree.folder / "pkg").rename(tree.folder / "lib")
    assert tree.batch() == {"pkg": "gone", "pkg/mod.py": "gone", "lib": "dir", "lib/mod.py": "file"}
    (tree.folder / "lib" / "mod.py").write_text("changed\n")
    assert tree.batch() == {"lib/mod.py": "file"}


def test_files_in_new_directories_are_seen_however_quick_they_come(tree: Tree) -> None:
    for number in range(5):
        deep = tree.folder / f"n{number}" / "a" / "b"
        deep.mkdir(parents=True)
        (deep / "f").write_text("x")
    seen: dict[str, str] = {}
    for _ in range(8):
        seen |= tree.batch(0.5)
    assert {f"n{number}/a/b/f" for number in range(5)} <= set(seen)


def test_ignored_directories_are_neither_told_nor_looked_through(tree: Tree) -> None:
    (tree.folder / "build").mkdir()
    (tree.folder / "build" / "out").write_text("x")
    (tree.folder / ".git").mkdir()
    (tree.folder / ".git" / "index").write_text("x")
    tree.quiet()


def test_a_switch_of_thousands_of_files_is_one_batch(tree: Tree) -> None:
    expected = {}
    for number in range(3000):
        folder = tree.folder / f"d{number % 40}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_text(str(number))
        expected[f"d{number % 40}/f{number}"] = "file"
    (tree.folder / "app.py").unlink()
    batch = tree.batch(30)
    assert expected.items() <= batch.items()
    assert batch["app.py"] == "gone"
    tree.quiet()


def test_symbolic_links_are_told_as_links(tree: Tree) -> None:
    (tree.folder / "link").symlink_to("app.py")
    assert tree.batch() == {"link": "link"}


def test_a_single_file_is_seen_through_atomic_saves_and_its_neighbours_are_not(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("one")
    with watch(tmp_path / "conf") as watcher:
        tree = Tree(tmp_path, watcher)
        for text in ("two", "three"):
            (tmp_path / "new").write_text(text)
            (tmp_path / "new").rename(tmp_path / "conf")
            assert tree.batch() == {"conf": "file"}
        (tmp_path / "neighbour").write_text("x")
        tree.quiet()


def test_a_watched_directory_may_appear_later_and_be_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "later"
    with watch(folder) as watcher:
        tree = Tree(folder, watcher)
        for text in ("one", "two"):
            folder.mkdir()
            (folder / "f").write_text(text)
            assert tree.until("f", "file")
            shutil.rmtree(folder)
            assert tree.until("f", "gone")


def test_roots_are_directories_that_exist_and_none_lies_in_another(tmp_path: Path) -> None:
    for name in ("a/b", "c"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "c" / "file").touch()
    (tmp_path / "a" / "file").touch()
    paths = [str(tmp_path / name) for name in ("a", "a/b", "a/file", "c/file", "c/none/at/all")]
    assert roots(paths) == ([str(tmp_path / "a"), str(tmp_path / "c")], [])
    assert roots(paths[:4]) == ([str(tmp_path / "a")], [str(tmp_path / "c")])

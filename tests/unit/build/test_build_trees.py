"""What COPY reads and writes: chosen, digested without times, copied with the rules for destinations."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.build.copying import Writer
from runtime.build.copystep import destination
from runtime.build.entrycopy import How
from runtime.build.filedigests import FileDigests
from runtime.build.ignorefile import exclude_of, rules_of
from runtime.build.solver import excerpt
from runtime.build.trees import Tree
from runtime.errors import InvalidParameter, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ME = (os.getuid(), os.getgid())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A directory with files, a link to a file, a link to a directory and one that leads out."""
    top = tmp_path / "source"
    (top / "dir" / "sub").mkdir(parents=True)
    (top / "a.txt").write_text("a")
    (top / "dir" / "b.log").write_text("b")
    (top / "dir" / "sub" / "c.txt").write_text("c")
    (top / "link").symlink_to("a.txt")
    (top / "dirlink").symlink_to("dir")
    (top / "out").symlink_to("/etc/passwd")
    return top


@pytest.fixture
def tree(source: Path) -> Iterator[Tree]:
    made = Tree(str(source), owner=ME)
    yield made
    made.close()


def copied(tree: Tree, target: Path, sources: list[str], where: str, how: How | None = None) -> list[str]:
    """What is below `target` after a copy."""
    target.mkdir(exist_ok=True)
    writer = Writer(str(target))
    try:
        writer.copy(tree, [match for text in sources for match in tree.select(text)], where, how or How())
    finally:
        writer.close()
    return sorted(str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir() or path.is_symlink())


def test_a_touched_file_has_the_same_digest_and_a_changed_one_another(tree: Tree, source: Path) -> None:
    before = tree.digest(tree.select("/"))
    os.utime(source / "a.txt", (1, 1))
    assert tree.digest(tree.select("/")) == before
    (source / "a.txt").chmod(0o600)
    changed_mode = tree.digest(tree.select("/"))
    (source / "a.txt").write_text("A")
    assert len({before, changed_mode, tree.digest(tree.select("/"))}) == 3


def test_the_name_of_a_file_is_part_of_its_digest_and_that_of_a_directory_of_what_it_holds(tree: Tree) -> None:
    assert tree.digest(tree.select("a.txt")) != tree.digest(tree.select("link"))


@pytest.mark.parametrize(
    ("sources", "where", "expected"),
    [
        (["a.txt"], "/x", ["x"]),
        (["a.txt"], "/x/", ["x/a.txt"]),
        (["a.txt"], "/deep/er/x", ["deep/er/x"]),
        (["dir"], "/x", ["x/b.log", "x/sub/c.txt"]),
        (["dir/"], "/x/", ["x/b.log", "x/sub/c.txt"]),
        (["link"], "/x/", ["x/link"]),
        (["dirlink"], "/x", ["x/b.log", "x/sub/c.txt"]),
        (["*.txt"], "/x/", ["x/a.txt"]),
        (["d*/*.log"], "/x/", ["x/b.log"]),
        (["nothing*"], "/x/", []),
        (["a.txt", "dir"], "/", ["a.txt", "b.log", "sub/c.txt"]),
    ],
)
def test_files_land_where_buildkit_puts_them(
    tree: Tree, tmp_path: Path, sources: list[str], where: str, expected: list[str]
) -> None:
    assert copied(tree, tmp_path / "target", sources, where) == expected


def test_a_link_that_is_named_is_followed_and_one_inside_is_kept(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    copied(tree, target, ["link"], "/named")
    copied(tree, target, ["/"], "/all")
    assert not (target / "named").is_symlink()
    assert (target / "named").read_text() == "a"
    assert (target / "all" / "link").readlink().name == "a.txt"


def test_no_path_leads_out_of_the_tree(tree: Tree) -> None:
    for path in ("out", "../source/a.txt/x", "/etc/passwd"):
        with pytest.raises(NotFound):
            tree.select(path)


def test_no_link_in_the_target_leads_out_of_it(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "escape").symlink_to("/../../outside")
    copied(tree, target, ["a.txt"], "/escape/")
    assert (target / "outside" / "a.txt").read_text() == "a"
    assert not (tmp_path / "outside").exists()


def test_a_missing_source_is_named_with_what_is_near(tree: Tree) -> None:
    with pytest.raises(NotFound) as caught:
        tree.select("dir/b.lgo")
    assert caught.value.message == '"/dir/b.lgo": not found (did you mean /dir/b.log?)'


def test_a_file_does_not_replace_a_directory_nor_a_directory_a_file(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (target / "x" / "a.txt").mkdir(parents=True)
    (target / "file").write_text("")
    with pytest.raises(InvalidParameter, match="cannot replace to directory"):
        copied(tree, target, ["a.txt"], "/x/")
    with pytest.raises(InvalidParameter, match="cannot copy to non-directory"):
        copied(tree, target, ["dir"], "/file")


def test_modes_are_changed_also_of_directories_inside(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    copied(tree, target, ["dir"], "/x", How(mode=lambda old, directory: 0o700 if directory else 0o600))
    assert (target / "x" / "sub").stat().st_mode & 0o777 == 0o700
    assert (target / "x" / "b.log").stat().st_mode & 0o777 == 0o600


def test_times_and_hard_links_are_kept(tree: Tree, source: Path, tmp_path: Path) -> None:
    os.link(source / "a.txt", source / "dir" / "again")
    os.utime(source / "a.txt", ns=(5, 1_234_567_891_234))
    target = tmp_path / "target"
    copied(tree, target, ["/"], "/")
    assert (target / "a.txt").stat().st_mtime_ns == 1_234_567_891_234
    assert (target / "a.txt").samefile(target / "dir" / "again")


def test_ignored_files_do_not_exist_but_what_is_taken_back_does(source: Path, tmp_path: Path) -> None:
    tree = Tree(str(source), owner=ME, rules=rules_of("dir\n!dir/sub/c.txt\nout\n"))
    try:
        found = copied(tree, tmp_path / "target", ["/"], "/")
        assert found == ["a.txt", "dir/sub/c.txt", "dirlink", "link"]
        with pytest.raises(NotFound, match=r"excluded by \.dockerignore"):
            tree.select("dir/b.log")
    finally:
        tree.close()


def test_exclude_leaves_out_what_matches_below_the_source(tree: Tree) -> None:
    (match,) = tree.select("dir", exclude=exclude_of(["**/*.txt"]))
    assert match.node.children is not None
    log, below = match.node.children
    assert (log.name, below.name, below.children) == ("b.log", "sub", [])


def test_parents_keep_the_path_below_the_pivot(tree: Tree, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    writer = Writer(str(target))
    try:
        for text in ("dir/sub/c.txt", "dir/./sub/*.txt"):
            writer.copy(tree, tree.select_with_parents(text), "/x/", How())
    finally:
        writer.close()
    assert (target / "x" / "dir" / "sub" / "c.txt").exists()
    assert (target / "x" / "sub" / "c.txt").exists()


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.txt", ["a.txt", "dir/sub/c.txt"]),
        ("dir/**/c.txt", ["dir/sub/c.txt"]),
        ("dir/./**/*.log", ["b.log"]),
        ("*/*.txt", []),
    ],
)
def test_two_asterisks_are_any_directories_where_parents_are_kept(tree: Tree, pattern: str, found: list[str]) -> None:
    matches = tree.select_with_parents(pattern)
    assert ["/".join((*match.parents, match.base)) for match in matches] == found


def test_a_file_is_read_again_only_when_it_may_have_changed(source: Path, tmp_path: Path) -> None:
    old = 1_000_000_000
    os.utime(source / "a.txt", (old, old))
    place = str(tmp_path / "known" / "digests.json")
    directory = os.open(source, os.O_RDONLY)
    try:
        first = FileDigests(place)
        found = os.stat(source / "a.txt")
        # ctime cannot be set: say it is long ago
        settled = os.stat_result([*found[:7], old, old, old], {"st_mtime_ns": old, "st_ctime_ns": old})
        digest = first.of("a.txt", settled, directory, "a.txt")
        first.save()
        (source / "a.txt").write_text("something else, but the status says that nothing happened")
        assert FileDigests(place).of("a.txt", settled, directory, "a.txt") == digest
        assert FileDigests(place).of("a.txt", os.stat(source / "a.txt"), directory, "a.txt") != digest
    finally:
        os.close(directory)


@pytest.mark.parametrize(
    ("path", "working", "expected"),
    [
        ("x", "/w", "/w/x"),
        ("x/", "/w", "/w/x/"),
        (".", "/w", "/w/"),
        ("./", "/", "/"),
        ("..", "/a/b", "/a/"),
        ("/abs", "/w", "/abs"),
        ("/", "/w", "/"),
    ],
)
def test_a_destination_goes_on_from_the_working_directory(path: str, working: str, expected: str) -> None:
    assert destination(path, working) == expected


@pytest.mark.parametrize(
    ("line", "end", "count", "expected"),
    [(3, 3, 4, (1, 4)), (2, 2, 20, (1, 4)), (10, 10, 20, (8, 12)), (1, 1, 1, (1, 1))],
)
def test_the_excerpt_shows_as_many_lines_as_buildkits(
    line: int, end: int, count: int, expected: tuple[int, int]
) -> None:
    assert excerpt(line, end, count) == expected

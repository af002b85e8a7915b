"""Deleting trees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from runtime.linux.treeremoval import remove_tree

REPOSITORY = Path(__file__).resolve().parents[3]


def test_everything_below_goes_and_nothing_that_links_point_to(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "file").write_text("precious")
    tree = tmp_path / "tree"
    (tree / "a/b/c").mkdir(parents=True)
    (tree / "a/b/file").write_text("x")
    (tree / "a/link").symlink_to(victim)
    (tree / "top").symlink_to(victim / "file")
    os.mkfifo(tree / "fifo")
    assert remove_tree(str(tree)) == []
    assert not tree.exists()
    assert (victim / "file").read_text() == "precious"


def test_a_missing_tree_and_a_single_file_are_fine(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert remove_tree(str(tmp_path / "file")) == []
    assert remove_tree(str(tmp_path / "file")) == []


def test_a_link_itself_is_removed_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    assert remove_tree(str(tmp_path / "link")) == []
    assert (tmp_path / "target").is_dir()


def test_a_tree_deeper_than_path_max_goes(tmp_path: Path) -> None:
    name = "d" * 200
    fd = os.open(tmp_path, os.O_RDONLY)
    for depth in range(40):
        os.mkdir("tree" if depth == 0 else name, dir_fd=fd)
        deeper = os.open("tree" if depth == 0 else name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    assert remove_tree(str(tmp_path / "tree")) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_bind_mount_of_the_same_file_system_is_not_entered(tmp_path: Path) -> None:
    script = dedent("""
        import os, sys
        sys.path.insert(0, sys.argv[2])
        from runtime.linux.syscalls import KERNEL
        from runtime.linux.constants import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC
        from runtime.linux.treeremoval import remove_tree
        KERNEL.unshare(CLONE_NEWNS)
        KERNEL.mount("", "/", "", MS_REC | MS_PRIVATE)
        base = sys.argv[1]
        os.makedirs(base + "/tree/sub/mounted")
        open(base + "/tree/sub/file", "w").close()
        os.mkdir(base + "/home")
        open(base + "/home/precious", "w").close()
        KERNEL.mount(base + "/home", base + "/tree/sub/mounted", "", MS_BIND)
        print(remove_tree(base + "/tree"))
        print(os.listdir(base + "/home"), os.listdir(base + "/tree/sub"))
    """)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), str(REPOSITORY)], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"['{tmp_path}/tree/sub/mounted']", "['precious'] ['mounted']"]

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.cgroups import placement
from runtime.cgroups.v2 import ManagerV2

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("parent", "found"),
    [
        ("", "pycompose/ab12cd34/c0"),
        ("limited", "limited/c0"),
        ("/limited//deep/", "limited/deep/c0"),
        ("my.slice", "my.slice/c0"),
        ("../../x", "x/c0"),
        ("/", "c0"),
    ],
)
def test_a_cgroup_lies_below_the_engines_or_the_parent_that_was_named(parent: str, found: str) -> None:
    assert placement.name("ab12cd34", "c0", parent) == found


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    try:
        os.setxattr(tmp_path, "user.test", b"1")
    except OSError:
        pytest.skip("the file system has no attributes of users")
    return tmp_path


def test_parents_that_were_made_go_with_the_last_container_and_others_stay(mount: Path) -> None:
    (mount / "admins").mkdir()
    first, second = (ManagerV2(str(mount), f"admins/ours/deep/{name}") for name in ("c1", "c2"))
    for manager in (first, second):
        manager._make()
    first.delete()
    assert (mount / "admins/ours/deep/c2").is_dir()
    second.delete()
    assert [path.name for path in mount.iterdir()] == ["admins"]
    assert not list((mount / "admins").iterdir())

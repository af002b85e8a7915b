"""Parents of cgroups that the user names: ours go with the last container, whatever happened, and others' stay."""

from __future__ import annotations

import glob
import os
import secrets
import signal
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

NAME = f"pyt{secrets.token_hex(4)}"
FILE = f"""
    services:
      web: {{image: localhost/host, command: sleep 1000, init: true, cgroup_parent: {NAME}/made/deep}}
"""


@pytest.fixture
def parent() -> Iterator[list[str]]:
    """A cgroup of somebody else in each hierarchy that containers always have."""
    mounts = [path for path in glob.glob("/sys/fs/cgroup/*/tasks") if not os.path.islink(os.path.dirname(path))]
    made = [f"{os.path.dirname(path)}/{NAME}" for path in mounts] or [f"/sys/fs/cgroup/{NAME}"]
    for path in made:
        os.mkdir(path)
    yield made
    for path in made:
        os.rmdir(path)


def _below(parent: list[str]) -> list[str]:
    return [path for each in parent for path in glob.glob(f"{each}/*/")]


def test_what_was_made_goes_and_what_was_there_stays(stack: Stack, parent: list[str]) -> None:
    stack.compose(FILE)
    stack.run("up", "-d")
    identity = stack.inspect("web-1")["Id"]
    assert [path for path in parent if os.path.isdir(f"{path}/made/deep/{identity}")]
    stack.run("stop", "-t", "0")
    poll(lambda: not _below(parent), what="the cgroups are gone")
    stack.run("start")
    assert _below(parent)
    stack.run("down", "-t", "0")
    poll(lambda: not _below(parent), what="the cgroups are gone")


def test_reset_finds_them_also_where_nobody_answers(stack: Stack, parent: list[str]) -> None:
    stack.compose(FILE)
    stack.run("up", "-d")
    status = stack.status()
    for pid in (status["Zygote"], status["Pid"]):
        os.kill(pid, signal.SIGSTOP)
    stack.run("engine", "reset", "--force")
    assert not _below(parent)

"""Mounts that come later reach the containers that asked for it by `propagation`, and no others."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root


@pytest.fixture
def shared(stack: Stack) -> Iterator[Path]:
    """A directory of the host that is a shared mount."""
    path = stack.folder / "shared"
    for name in ("outer", "inner"):
        (path / name).mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", path], check=True)
    subprocess.run(["mount", "--make-shared", path], check=True)
    for name in ("outer", "inner"):
        (path / name).mkdir()
    yield path
    stack.run("down", "-t", "0")
    subprocess.run(["umount", "-R", path], check=True)


def test_a_mount_of_the_host_reaches_who_asked_for_it(stack: Stack, shared: Path) -> None:
    stack.compose("""
        x-own: &own {image: localhost/host, command: sleep 1000, init: true, privileged: true, stop_grace_period: 0s}
        services:
          both: {<<: *own, volumes: [{type: bind, source: ./shared, target: /m, bind: {propagation: rshared}}]}
          down: {<<: *own, volumes: [{type: bind, source: ./shared, target: /m, bind: {propagation: rslave}}]}
          none: {<<: *own, volumes: ["./shared:/m"]}
    """)
    told = stack.run("up", "-d").err
    assert "services.both.volumes: mounts made below /m in the container do not reach the host" in told
    subprocess.run(["mount", "-t", "tmpfs", "none", shared / "outer"], check=True)
    (shared / "outer" / "mark").touch()
    stack.exec("both", "sh", "-c", "mount -t tmpfs none /m/inner && touch /m/inner/mark")
    assert not (shared / "inner" / "mark").exists()
    seen = {
        name: stack.exec(name, "sh", "-c", "cd /m; ls -d */mark", ok=False).lines for name in ("both", "down", "none")
    }
    assert seen == {"both": ["inner/mark", "outer/mark"], "down": ["outer/mark"], "none": []}

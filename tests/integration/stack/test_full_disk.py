"""A full disk under the data root: what exists can be used and taken down, what cannot be made is named and not there."""

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
def small(stack: Stack) -> Iterator[Stack]:
    """A stack with a data root of six megabytes."""
    data = stack.root / "data"
    data.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", str(data)], check=True)
    try:
        yield stack
        stack.run("engine", "stop", "--containers")
    finally:
        subprocess.run(["umount", "-l", str(data)], check=True)


def fill_up(file: Path) -> None:
    """Append to a file until the disk takes no more."""
    with pytest.raises(OSError, match="No space left"), file.open("ab", buffering=0) as stream:
        while True:
            stream.write(bytes(4096))


def test_nothing_hangs_and_nothing_is_half_made_and_room_is_enough_to_go_on(small: Stack) -> None:
    small.compose("services: {a: {image: localhost/host, command: sleep 1000, init: true, scale: 2}}")
    small.run("up", "-d")
    fill = small.root / "data" / "fill"
    fill_up(fill)
    refused = small.run("up", "-d", "--scale", "a=3", ok=False)
    assert refused.code == 1
    assert "config.json cannot be written: no space left on device" in refused.err
    assert small.states() == {"a-1": "running", "a-2": "running"}
    small.run("restart", "-t", "1")
    assert small.exec("a", "echo", "alive").out == "alive\n"
    small.run("down", "-t", "1")
    assert (small.containers(), small.networks()) == ([], [])
    fill_up(fill)  # with what the containers took
    assert small.run("up", "-d", ok=False).code == 1
    fill.unlink()
    small.run("up", "-d")
    small.run("down", "-t", "1")
    assert "Traceback" not in small.log()

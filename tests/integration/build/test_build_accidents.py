"""A build meets a full disk and the sudden end of its worker: nothing half made is kept, and a repeat succeeds."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kit.jobs import jobs, leftovers
from tests.kit.stack import Stack, poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.root


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Stack]:
    """A stack whose data root has 24 MB."""
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "pycompose-test", str(disk)], check=True)
    try:
        stack = Stack(root=disk / "root", project=f"t{secrets.token_hex(3)}")
        yield stack
        stack.close()
    finally:
        # lazily: processes are gone from the table a moment before their mounts are
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def build(stack: Stack, text: str) -> str:
    stack.write("Dockerfile", text)
    return stack.run("image", "build", "--progress", "plain", "-t", "made:1", ".").err


def test_a_full_disk_fails_the_step_and_the_space_comes_back(small_disk: Stack, tmp_path: Path) -> None:
    build(small_disk, "FROM localhost/host\nRUN true\n")
    before = os.statvfs(small_disk.root).f_bfree
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "big").write_bytes(bytes(60 << 20))
    flags = ["--build-context", f"outside={outside}"]
    for step in ("RUN head -c 60M /dev/zero > /big", "COPY --from=outside big /x/"):
        small_disk.write("Dockerfile", f"FROM localhost/host\n{step}\n")
        done = small_disk.run("image", "build", "--progress", "quiet", "-t", "full:1", *flags, ".", ok=False)
        assert done.code != 0
        assert "no space left on device" in done.err.lower()
        assert "Dockerfile:2" in done.err
        assert "Traceback" not in done.err
        assert small_disk.run("image", "inspect", "full:1", ok=False).code != 0
        poll(lambda: not leftovers(small_disk), what="nothing is left")
    poll(lambda: os.statvfs(small_disk.root).f_bfree > before - 512, what="the space comes back")
    build(small_disk, "FROM localhost/host\nRUN head -c 1M /dev/zero > /big\n")


@pytest.mark.parametrize("victim", ["worker", "engine", "client"])
def test_a_killed_build_leaves_nothing_and_is_repeated(module_stack: Stack, victim: str) -> None:
    stack = module_stack
    step = f"RUN --mount=type=secret,id=pace echo begun {victim}; sleep $(cat /run/secrets/pace); echo over"
    stack.write("Dockerfile", f"FROM localhost/host\n{step}\n")
    arguments = ("image", "build", "--progress", "plain", "-t", f"killed:{victim}", "--secret", "id=pace,src=pace", ".")
    stack.write("pace", "60")
    stack.run("image", "ls")
    client = stack.start(*arguments)
    assert client.stderr is not None
    assert any(f"begun {victim}" in line and "echo" not in line for line in client.stderr)
    found = {"client": [client.pid], "worker": jobs(stack, "build_image"), "engine": [int(stack.status()["Pid"])]}[
        victim
    ]
    assert len(found) == 1
    os.kill(found[0], signal.SIGKILL)
    with client:
        client.wait(30)
    assert stack.run("image", "inspect", f"killed:{victim}", ok=False).code != 0
    poll(lambda: not leftovers(stack), 10, "nothing is left")
    stack.write("pace", "0")
    stack.run(*arguments)
    poll(lambda: not leftovers(stack), 5, "nothing is left of the repeat")

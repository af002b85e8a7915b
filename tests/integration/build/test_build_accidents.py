"""A build meets a full disk and the sudden end of its worker: nothing half made is kept, and a repeat succeeds."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import Stack, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

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


def leftovers(stack: Stack) -> list[str]:
    """Mounts below the data root, and what lies in the store's working places."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file if f" {stack.root}/data/" in line]
    images = stack.root / "data" / "images"
    return [*mounts, *(str(path) for name in ("tmp", "partial") for path in (images / name).glob("*"))]


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


def workers(stack: Stack) -> list[int]:
    """Jobs of this stack's engine."""
    engine = stack.status()["Pid"]
    children = [
        int(pid) for path in Path(f"/proc/{engine}/task").glob("*/children") for pid in path.read_text().split()
    ]
    return [pid for pid in children if b"runtime.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("victim", ["worker", "engine", "client"])
def test_a_killed_build_leaves_nothing_and_is_repeated(module_stack: Stack, victim: str) -> None:
    stack = module_stack
    stack.write("Dockerfile", f"FROM localhost/host\nRUN echo begun {victim}; sleep 3; echo over\n")
    stack.run("image", "ls")
    client = stack.start("image", "build", "--progress", "plain", "-t", f"killed:{victim}", ".")
    assert client.stderr is not None
    told = client.stderr
    assert any(f"begun {victim}" in line and "echo" not in line for line in told)
    pids = {
        "client": lambda: [client.pid],
        "worker": lambda: workers(stack),
        "engine": lambda: [int(stack.status()["Pid"])],
    }
    found = pids[victim]()
    assert found
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    with client:
        client.wait(30)
    assert stack.run("image", "inspect", f"killed:{victim}", ok=False).code != 0
    stack.run("image", "build", "-t", f"killed:{victim}", ".")
    # what a killed worker left is swept by the next job
    poll(lambda: not leftovers(stack), 5, "nothing is left")

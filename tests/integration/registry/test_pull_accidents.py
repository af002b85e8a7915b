"""A pull meets a full disk, the sudden end of whoever is at it, a prune and another pull: no half image, and repeats go on."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import threading
from typing import TYPE_CHECKING

import pytest

from tests.kit.jobs import jobs, leftovers
from tests.kit.lyingregistry import LyingRegistry, digest_of, tar_of
from tests.kit.stack import Stack, poll

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.kit.lyingregistry import Made, Request

pytestmark = pytest.mark.root

SHARED = tar_of({"shared": os.urandom(400_000)})
OWN = tar_of({"own": os.urandom(400_000)})
OTHER = tar_of({"other": os.urandom(1000)})


@pytest.fixture
def registry() -> Iterator[LyingRegistry]:
    made = LyingRegistry().start()
    yield made
    made.stop()


class Stall:
    """The first request for a blob gets half of it, and the rest when `release` is called."""

    def __init__(self, registry: LyingRegistry, data: bytes) -> None:
        self._data = data
        self._go_on = threading.Event()
        registry.lie(digest_of(data), self._answer, times=1)

    def release(self) -> None:
        self._go_on.set()

    def _answer(self, request: Request) -> None:
        half = len(self._data) // 2
        request.send_response(200)
        request.send_header("Content-Length", str(len(self._data)))
        request.end_headers()
        request.wfile.write(self._data[:half])
        self._go_on.wait(30)
        request.wfile.write(self._data[half:])


def half_arrived(stack: Stack, data: bytes) -> bool:
    """Whether half of a blob lies here."""
    path = stack.root / "data/images/partial" / digest_of(data).replace(":", "-")
    return path.exists() and path.stat().st_size >= len(data) // 2


def is_here(stack: Stack, name: str) -> bool:
    return stack.run("image", "inspect", name, ok=False).code == 0


def layers_of(made: Made) -> list[str]:
    return [digest_of(layer) for layer in made.layers]


@pytest.mark.parametrize("victim", ["client", "worker", "engine"])
def test_a_killed_pull_leaves_no_image_and_a_repeat_goes_on_with_it(
    module_stack: Stack, registry: LyingRegistry, victim: str
) -> None:
    stack = module_stack
    own = tar_of({"own": os.urandom(400_000)})
    made = registry.image("app:1", tar_of({victim: os.urandom(1000)}), own)
    first, second = layers_of(made)
    Stall(registry, made.layers[1])
    name = f"{registry.host}/app:1"
    stack.run("image", "ls")
    client = stack.start("image", "pull", name)
    poll(lambda: half_arrived(stack, made.layers[1]), what="half a layer is here")
    poll((stack.root / "data/images/blobs/sha256" / first[7:]).exists, what="the other layer is here")
    found = {"client": [client.pid], "worker": jobs(stack, "pull_image"), "engine": [int(stack.status()["Pid"])]}[
        victim
    ]
    assert len(found) == 1
    os.kill(found[0], signal.SIGKILL)
    with client:
        client.wait(30)
    assert not is_here(stack, name)
    poll(lambda: not jobs(stack, "pull_image"), what="its worker is gone")
    halves = [f"{stack.root}/data/images/partial/{second.replace(':', '-')}"]
    poll(lambda: leftovers(stack) == halves, what="only the half is kept")
    stack.run("image", "pull", name)
    assert not leftovers(stack)
    assert [headers.get("range", "")[:6] for headers in registry.asked("GET", second)] == ["", "bytes="]
    assert len(registry.asked("GET", first)) == 1


def test_a_prune_during_a_pull_takes_nothing_from_it(module_stack: Stack, registry: LyingRegistry) -> None:
    stack = module_stack
    made = registry.image("app:1", OTHER, OWN)
    stall = Stall(registry, made.layers[1])
    name = f"{registry.host}/app:1"
    client = stack.start("image", "pull", "-q", name)
    poll(lambda: half_arrived(stack, made.layers[1]), what="half a layer is here")
    stack.run("image", "prune", "-a", "-f")
    assert not is_here(stack, name)
    stall.release()
    with client:
        assert client.wait(30) == 0
    assert len(stack.api(f"/v1/images/{name.replace('/', '%2F')}")["RootFS"]["Layers"]) == 2
    assert {len(registry.asked("GET", digest)) for digest in layers_of(made)} == {1}
    assert not leftovers(stack)


@pytest.mark.parametrize("accident", ["none", "killed"])
def test_pulls_at_once_share_what_they_have_in_common(stack: Stack, registry: LyingRegistry, accident: str) -> None:
    made = registry.image("app:1", SHARED, OWN)
    registry.image("other:1", SHARED, OTHER)
    stall = Stall(registry, made.layers[0])
    shared = layers_of(made)[0]
    stack.run("image", "ls")
    one = stack.start("image", "pull", "-q", f"{registry.host}/app:1")
    poll(lambda: half_arrived(stack, made.layers[0]), what="half a layer is here")
    [worker] = jobs(stack, "pull_image")
    two = stack.start("image", "pull", f"{registry.host}/other:1")
    assert two.stdout is not None
    assert any("Waiting" in line for line in two.stdout)
    if accident == "killed":
        os.kill(worker, signal.SIGKILL)
    else:
        stall.release()
    with one, two:
        assert two.wait(30) == 0, two.stderr
        assert (one.wait(30) == 0) == (accident == "none")
    assert is_here(stack, f"{registry.host}/app:1") == (accident == "none")
    ranges = [headers.get("range", "")[:6] for headers in registry.asked("GET", shared)]
    assert ranges == (["", "bytes="] if accident == "killed" else [""])
    stack.run("image", "pull", f"{registry.host}/app:1")
    poll(lambda: not leftovers(stack), what="nothing is left")


def test_a_disk_that_fills_up_while_a_layer_is_unpacked_fails_the_pull_and_is_free_again(
    tmp_path: Path, registry: LyingRegistry
) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "pycompose-test", str(disk)], check=True)
    try:
        stack = Stack(root=disk / "root", project=f"t{secrets.token_hex(3)}")
        big = registry.image("big:1", OTHER, tar_of({"big": b"full" * (15 << 20)}))
        registry.image("small:1", OTHER)
        stack.run("image", "ls")
        before = os.statvfs(disk).f_bfree
        stall = Stall(registry, big.layers[-1])  # what is unpacked fills the disk before the rest of the layer comes
        pull = stack.start("image", "pull", f"{registry.host}/big:1")
        poll(lambda: os.statvfs(disk).f_bfree == 0, what="the disk is full")
        stall.release()
        _, said = pull.communicate(timeout=30)
        assert pull.returncode != 0
        assert "no space left on device" in said.lower()
        assert "Traceback" not in said
        assert not is_here(stack, f"{registry.host}/big:1")
        assert [len(registry.asked("GET", digest)) for digest in layers_of(big)] == [1, 1]
        poll(lambda: not leftovers(stack), what="nothing is left")
        poll(lambda: os.statvfs(disk).f_bfree > before - 512, what="the space comes back")
        stack.run("image", "pull", f"{registry.host}/small:1")
        subprocess.run(["mount", "-o", "remount,size=200m", str(disk)], check=True)
        stack.run("image", "pull", f"{registry.host}/big:1")
        stack.close()
    finally:
        # lazily: processes are gone from the table a moment before their mounts are
        subprocess.run(["umount", "--lazy", str(disk)], check=True)

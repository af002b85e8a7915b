"""`engine reset`: nothing of the engine is left, everything of others is; with an engine, without, and over damage."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import machine
from tests.kit.stack import Stack, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

PROJECT = """
    services:
      a: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, volumes: ["data:/data"]}
      b: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL, pid: host}
    volumes: {data: {}}
"""


@pytest.fixture
def neighbour() -> Iterator[Stack]:
    """Another engine with a container of its own."""
    root = Path(tempfile.mkdtemp(prefix="pyc-"))
    made = Stack(root=root, project=f"n{secrets.token_hex(3)}")
    try:
        made.compose("services: {a: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL}}")
        made.run("up", "-d")
        yield made
        made.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def nothing_is_left(stack: Stack, engine_id: str) -> bool:
    return (
        not machine.leftovers(engine_id, str(stack.root))
        and not machine.links(f"pyc{engine_id[:4]}")
        and not (stack.root / "data").exists()
        and not (stack.root / "run").exists()
    )


def engine_processes(stack: Stack) -> list[int]:
    """Engine, zygote and shims: those whose standard error is the engine's log."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            target = os.readlink(f"/proc/{name}/fd/2")
        except OSError:
            continue
        if target == str(stack.root / "data" / "engine.log"):
            found.append(int(name))
    return found


def test_a_reset_says_what_goes_asks_and_takes_all_of_one_engine(stack: Stack, neighbour: Stack) -> None:
    stack.compose(PROJECT)
    stack.run("up", "-d")
    stack.run("pause", "a")
    engine_id = stack.engine_id()
    told = stack.run("engine", "reset", ok=False)
    assert told.code == 1
    project = stack.project
    for text in (
        f"containers   2: {project}-a-1, {project}-b-1; running: 2",
        f"networks     1: {project}_default",
        f"volumes      1: {project}_data, with all data in them",
        f"firewall     table pycompose_{engine_id}",
        f"directories  {stack.root}/run, {stack.root}/data",
        "Are you sure you want to continue? [y/N]",
    ):
        assert text in told.out
    assert stack.states() == {"a-1": "paused", "b-1": "running"}
    planned = stack.run("--dry-run", "engine", "reset").out
    assert f"container:{project}-a-1, StopContainer?, reset" in planned

    stack.run("engine", "reset", stdin="y\n")
    poll(lambda: nothing_is_left(stack, engine_id), what="all of the engine gone")
    assert stack.folder.exists()
    assert neighbour.states() == {"a-1": "running"}
    assert machine.tables(neighbour.engine_id())
    assert stack.run("engine", "reset").out.startswith("nothing to remove")


def test_a_reset_needs_no_engine_and_no_sound_data(stack: Stack, neighbour: Stack) -> None:
    stack.compose(PROJECT)
    stack.run("up", "-d")
    engine_id = stack.engine_id()
    stack.run("pause", "a")
    data = stack.root / "data"
    for pid in engine_processes(stack):
        os.kill(pid, signal.SIGSTOP)
    for pid in engine_processes(stack):
        os.kill(pid, signal.SIGKILL)
    poll(lambda: not engine_processes(stack), what="engine, zygote and shims gone")
    assert machine.cgroups(engine_id)
    assert machine.tables(engine_id)
    for record in (*data.glob("containers/*/config.json"), *data.glob("networks/*/config.json")):
        record.write_text("{")
    (data / "engine-id").write_text("")
    (data / "forwarding.json").write_text("[")
    shutil.rmtree(stack.root / "run")

    done = stack.run("engine", "reset", "--force")
    assert "containers   2: " in done.out
    poll(lambda: nothing_is_left(stack, engine_id), what="all of the engine gone")
    assert neighbour.states() == {"a-1": "running"}


def test_a_reset_does_not_wait_for_an_engine_that_hangs(stack: Stack) -> None:
    stack.compose("services: {a: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL}}")
    stack.run("up", "-d")
    engine_id = stack.engine_id()
    os.kill(stack.status()["Pid"], signal.SIGSTOP)
    stack.run("engine", "reset", "--force")
    poll(lambda: nothing_is_left(stack, engine_id), what="all of the engine gone")


def test_a_reset_refuses_what_is_not_its_own(stack: Stack, neighbour: Stack) -> None:
    foreign = stack.root / "data"
    foreign.mkdir(parents=True)
    (foreign / "letter.txt").write_text("dear")
    failed = stack.run("engine", "reset", "-f", ok=False)
    assert failed.code == 1
    assert "is not the data root of an engine" in failed.err
    assert (foreign / "letter.txt").exists()

    (foreign / "letter.txt").unlink()
    shutil.copy(neighbour.root / "data" / "engine-id", foreign)
    failed = stack.run("engine", "reset", "-f", ok=False)
    assert f"of the engine that runs in {neighbour.root}/data" in failed.err
    assert neighbour.states() == {"a-1": "running"}
    shutil.rmtree(foreign)

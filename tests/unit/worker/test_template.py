"""The template: a child a job, nothing of one in another, and what happens when either is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from runtime.wire import seqpacket
from tests.kit.stack import REPOSITORY, poll

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator


class Engine:
    """The engine's end of a template's socket."""

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket, root: Path) -> None:
        self.process = process
        self.sock = sock
        self.root = root

    def spawn(self, job: str, **fds: int) -> tuple[int, int, int]:
        """Pid, and our ends of the pipes for its request and its events."""
        its_request, request = os.pipe()
        events, its_events = os.pipe()
        seqpacket.send(self.sock, {"job": job, "fds": list(fds)}, [its_request, its_events, *fds.values()])
        os.close(its_request)
        os.close(its_events)
        answer, received = seqpacket.recv(self.sock)
        seqpacket.close_all(received)
        return int(answer["pid"]), request, events

    def ask(self, request: int, **fields: Any) -> None:
        with open(request, "w", encoding="utf-8") as file:
            json.dump({"root": str(self.root / "data"), "run": str(self.root / "run"), **fields}, file)

    def ended(self) -> tuple[int, int]:
        answer, _ = seqpacket.recv(self.sock)
        return answer["ended"], answer["code"]

    def children(self) -> list[int]:
        """Living children of the template."""
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """A template of its own."""
    ours, theirs = seqpacket.pair()
    ours.settimeout(20)
    with ours, theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "runtime.worker", str(theirs.fileno())], pass_fds=(theirs.fileno(),), cwd=REPOSITORY
        )
        theirs.close()
        (tmp_path / "tree").mkdir()
        (tmp_path / "tree" / "file").write_bytes(bytes(5))
        yield Engine(process, ours, tmp_path)
    with process:
        process.wait(10)


def last(events: int) -> dict[str, Any]:
    with open(events, "rb") as file:
        found: dict[str, Any] = json.loads(file.read().splitlines()[-1])
    return found


def measure(engine: Engine) -> tuple[int, dict[str, Any]]:
    """Run one small job: its pid and its last event."""
    pid, request, events = engine.spawn("measure_trees")
    engine.ask(request, trees={"t": str(engine.root / "tree")})
    done = last(events)
    assert engine.ended() == (pid, 0)
    return pid, done


def test_each_job_has_a_process_of_its_own(engine: Engine) -> None:
    first, done = measure(engine)
    second, again = measure(engine)
    assert done["Sizes"] == again["Sizes"] == {"t": 5}
    assert len({first, second, engine.process.pid}) == 3


def test_a_worker_has_no_descriptor_but_those_of_its_job(engine: Engine) -> None:
    measure(engine)
    poll(engine.children, 10, "one that waits for its job")
    with open(os.devnull, "rb") as given:
        jobs = [engine.spawn("load_image", stream=given.fileno()) for _ in range(2)]
    for pid, request, _events in jobs:
        poll(lambda pid=pid: Path(f"/proc/{pid}/comm").read_text() == "load_image\n", 10, "it reads its request")
        held = {int(name): os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
        assert sorted(path.split(":")[0] for fd, path in held.items() if fd > 2) == ["/dev/null", "pipe", "pipe"]
        os.close(request)
    assert {engine.ended()[0] for _ in jobs} == {pid for pid, _, _ in jobs}
    for _, _, events in jobs:
        os.close(events)


def test_a_job_without_a_request_does_nothing(engine: Engine) -> None:
    pid, request, events = engine.spawn("empty_trash")
    os.close(request)
    with open(events, "rb") as file:
        assert file.read() == b""
    assert engine.ended() == (pid, 0)
    assert not (engine.root / "data").exists()


def test_a_killed_worker_is_told_of_and_the_next_one_works(engine: Engine) -> None:
    pid, request, events = engine.spawn("measure_trees")
    os.kill(pid, signal.SIGKILL)
    assert engine.ended() == (pid, -signal.SIGKILL)
    os.close(request)
    os.close(events)
    measure(engine)


def test_the_next_child_is_ready_before_its_job_and_may_be_killed(engine: Engine) -> None:
    first, _ = measure(engine)
    [ready] = poll(lambda: [pid for pid in engine.children() if pid != first], 10, "one that waits")
    assert measure(engine)[0] == ready
    [ready] = poll(lambda: [pid for pid in engine.children() if pid != ready], 10, "another")
    os.kill(ready, signal.SIGKILL)
    assert engine.ended() == (ready, -signal.SIGKILL)
    assert measure(engine)[1]["Sizes"] == {"t": 5}


def test_a_job_goes_on_without_its_template(engine: Engine) -> None:
    _, request, events = engine.spawn("measure_trees")
    engine.process.kill()
    engine.process.wait(10)
    engine.ask(request, trees={"t": str(engine.root / "tree")})
    assert last(events)["status"] == "finished"


def test_the_template_ends_with_its_engine_and_takes_the_waiting_child_along(engine: Engine) -> None:
    first, _ = measure(engine)
    [ready] = poll(lambda: [pid for pid in engine.children() if pid != first], 10, "one that waits")
    engine.sock.close()
    assert engine.process.wait(10) == 0
    poll(lambda: not Path(f"/proc/{ready}").exists() or " Z " in Path(f"/proc/{ready}/stat").read_text(), 10)

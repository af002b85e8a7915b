"""`logs` and attached `up` against a fake engine and real log files."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from compose.usecases.attached import AttachedUp, AttachOptions
from compose.usecases.projects import ProjectRequest, load_project
from runtime.client.client import Client
from runtime.client.logrecords import text as text_of
from tests.kit.fakeengine import container

if TYPE_CHECKING:
    from collections.abc import Callable


def record(text: str, second: int = 0, stream: str = "stdout") -> bytes:
    data = {"log": text, "stream": stream, "time": f"2026-01-01T00:00:{second:02d}.5Z"}
    return json.dumps(data, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def stack(engine, tmp_path):
    """Containers with logs: `stack("web", record(...))` makes one."""

    def make(service: str, *records: bytes, number: int = 1, **state: Any) -> dict:
        found = container(service, number, **state)
        path = tmp_path / f"{service}{number}.log"
        path.write_bytes(b"".join(records))
        found["LogPath"] = str(path)
        engine.containers.append(found)
        engine.routes[f"GET /v1/containers/{found['Id']}"] = found
        return found

    return make


def test_logs_are_merged_by_time(pycompose, stack) -> None:
    stack("web", record("w1\n", 1), record("w3\n", 3))
    stack("db", record("d2\n", 2, "stderr"), status="exited")
    assert pycompose("logs").out == "web-1  | w1\ndb-1   | d2\nweb-1  | w3\n"
    assert pycompose("logs", "--no-log-prefix", "--tail", "1").out == "d2\nw3\n"
    assert pycompose("logs", "--since", "2026-01-01T00:00:02Z", "web").out == "web-1  | w3\n"
    assert pycompose("logs", "-t", "db").out == "db-1  | 2026-01-01T00:00:02.500000000Z d2\n"


def test_logs_of_one_replica(pycompose, stack) -> None:
    stack("web", record("one\n"))
    stack("web", record("two\n"), number=2)
    assert pycompose("logs", "--index", "2", "web").out == "web-2  | two\n"


def test_following_ends_with_the_last_container_and_misses_nothing(pycompose, engine, stack) -> None:
    web = stack("web", record("before\n"))

    def live() -> None:
        while not engine.listeners:
            time.sleep(0.005)
        time.sleep(0.1)
        with open(web["LogPath"], "ab") as file:
            file.write(record("during\n") + record("last words"))
        web["State"]["Status"] = "exited"
        engine.emit("die", web, exitCode="3")

    thread = threading.Thread(target=live)
    thread.start()
    result = pycompose("logs", "-f")
    thread.join()
    assert result.out == "web-1  | before\nweb-1  | during\nweb-1  | last words\nweb-1 exited with code 3\n"


def test_following_takes_up_containers_that_come_later(pycompose, engine, stack) -> None:
    web = stack("web", record("web\n"))

    def live() -> None:
        while not engine.listeners:
            time.sleep(0.005)
        time.sleep(0.05)
        late = stack("web", record("late\n"), number=2)
        engine.emit("start", late)
        time.sleep(0.1)
        for each in (web, late):
            each["State"]["Status"] = "exited"
            engine.emit("die", each, exitCode="0")

    thread = threading.Thread(target=live)
    thread.start()
    result = pycompose("logs", "-f", "--no-log-prefix")
    thread.join()
    assert result.out.splitlines()[:2] == ["web", "late"]


class Recorder:
    """Reporter and sink in one: keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def register(self, names: Any) -> None:
        list(names)

    def block(self, name: str, block: bytes) -> None:
        self.told += [f"{name}: {line}" for line in text_of(block).decode().splitlines()]

    def status(self, name: str, text: str) -> None:
        self.told.append(f"{name} {text}")

    def flush(self, name: str | None = None) -> None: ...
    def begin(self, plan: Any) -> None: ...
    def event(self, operation: Any, event: Any) -> None: ...
    def step(self, name: str, text: str, *, done: bool = False, failed: bool = False) -> None: ...
    def end(self) -> None: ...
    def dry_run(self, plan: Any) -> None: ...
    def debug(self, text: str) -> None: ...
    def announce(self, text: str) -> None: ...

    def warn(self, text: str) -> None:
        self.told.append(f"warning: {text}")

    def info(self, text: str) -> None:
        self.told.append(text)

    def ask(self, question: str) -> bool:
        return False


class World:
    """What the fake engine's plans do to the fake containers."""

    def __init__(self, engine, stack: Callable[..., dict]) -> None:
        self.engine = engine
        self.stack = stack
        self.on_start: dict[str, Callable[[dict], None]] = {}
        engine.state_after = self.apply

    def find(self, reference: str) -> dict:
        return next(each for each in self.engine.containers if reference in (each["Id"], each["Name"][1:]))

    def apply(self, operation: dict) -> None:
        kind, args = operation["kind"], operation["args"]
        if kind == "CreateContainer":
            service = args["Config"]["Labels"]["com.docker.compose.service"]
            made = self.stack(service, status="created")
            made["Config"]["Labels"].update(args["Config"]["Labels"])
        elif kind == "StartContainer":
            found = self.find(args["Container"])
            found["State"]["Status"] = "running"
            self.engine.emit("start", found)
            self.on_start.get(found["Name"], lambda _: None)(found)
        elif kind in ("StopContainer", "KillContainer"):
            self.end(self.find(args["Container"]), 137 if kind == "KillContainer" else 143)

    def end(self, found: dict, code: int) -> None:
        if found["State"]["Status"] == "running":
            found["State"].update(Status="exited", ExitCode=code)
            self.engine.emit("die", found, exitCode=str(code))

    def write(self, found: dict, *records: bytes) -> None:
        with open(found["LogPath"], "ab") as file:
            file.write(b"".join(records))


@pytest.fixture
def world(engine, stack) -> World:
    return World(engine, stack)


def attached(pycompose, engine, recorder: Recorder, interrupts=lambda: 0, **options: Any) -> int:
    from compose.reconcile.options import UpOptions

    project = load_project(ProjectRequest(cwd=str(pycompose.folder), environ=pycompose.environ))
    everything = frozenset(project.services)
    client = Client(engine.paths)
    up = AttachedUp(
        client,
        project,
        AttachOptions(services=everything, watched=everything, **options),
        sink=recorder,
        reporter=recorder,
        quiet=recorder,
        between=recorder,
        notice=recorder.told.append,
        interrupts=interrupts,
    )
    try:
        return up.run(UpOptions())
    finally:
        client.close()


def test_attached_up_prints_from_the_first_line_to_the_last_end(pycompose, engine, world) -> None:
    def db(found: dict) -> None:
        world.write(found, record("ready\n"))

    def web(found: dict) -> None:
        world.write(found, record("hello\n"))
        world.end(found, 3)
        world.end(world.find("app-db-1"), 0)

    world.on_start.update({"/app-db-1": db, "/app-web-1": web})
    recorder = Recorder()
    assert attached(pycompose, engine, recorder) == 0
    assert recorder.told[0] == "Attaching to db-1, web-1"
    assert sorted(recorder.told[1:]) == [
        "db-1 exited with code 0",
        "db-1: ready",
        "web-1 exited with code 3",
        "web-1: hello",
    ]
    assert recorder.told.index("db-1: ready") < recorder.told.index("db-1 exited with code 0")


def test_abort_on_container_exit_stops_the_rest_and_takes_the_first_code(pycompose, engine, world) -> None:
    world.on_start["/app-web-1"] = lambda found: world.end(found, 5)
    recorder = Recorder()
    assert attached(pycompose, engine, recorder, abort="exit") == 5
    assert "Aborting on container exit..." in recorder.told
    assert "db-1 exited with code 143" in recorder.told


def test_abort_on_failure_passes_over_success(pycompose, engine, world) -> None:
    world.on_start["/app-db-1"] = lambda found: world.end(found, 0)
    world.on_start["/app-web-1"] = lambda found: world.end(found, 9)
    assert attached(pycompose, engine, Recorder(), abort="failure") == 9


def test_exit_code_from_names_whose_code_counts(pycompose, engine, world) -> None:
    world.on_start["/app-web-1"] = lambda found: world.end(found, 5)
    assert attached(pycompose, engine, Recorder(), abort="exit", exit_code_from="db") == 143


def test_the_first_interrupt_stops_gracefully_with_130(pycompose, engine, world) -> None:
    started = threading.Event()
    world.on_start["/app-web-1"] = lambda _: started.set()
    recorder = Recorder()
    code = attached(pycompose, engine, recorder, interrupts=lambda: int(started.is_set()))
    assert code == 130
    assert "Gracefully Stopping... press Ctrl+C again to force" in recorder.told
    assert {"web-1 exited with code 143", "db-1 exited with code 143"} <= set(recorder.told)


def test_the_second_interrupt_kills(pycompose, engine, world) -> None:
    counts = {"value": 0}
    apply = world.apply

    def stubborn(operation: dict) -> None:
        if operation["kind"] == "StopContainer":
            counts["value"] = 2
            time.sleep(0.3)
            return
        apply(operation)

    engine.state_after = stubborn
    world.on_start["/app-web-1"] = lambda _: counts.update(value=1)
    recorder = Recorder()
    assert attached(pycompose, engine, recorder, interrupts=lambda: counts["value"]) == 130
    assert {"web-1 exited with code 137", "db-1 exited with code 137"} <= set(recorder.told)


def test_a_start_that_fails_ends_the_command_with_its_error(pycompose, engine, world) -> None:
    answer = engine.routes["POST /v1/plan"]

    def fail(exchange):
        operations = exchange.json()["operations"]
        if not any(each["kind"] == "StartContainer" for each in operations):
            return answer(exchange)
        error = {"kind": "SystemFailure", "message": "dependency failed to start: container app-db-1 is unhealthy"}
        exchange.begin_stream()
        exchange.line({"op": operations[0]["id"], "status": "failed", "error": error})
        exchange.line({"status": "finished", "error": error})
        exchange.end_stream()
        return None

    engine.routes["POST /v1/plan"] = fail
    with pytest.raises(Exception, match="dependency failed to start"):
        attached(pycompose, engine, Recorder())


def test_following_a_container_that_ended_shows_its_whole_log(pycompose, stack) -> None:
    """One read of a long log is not all of it."""
    lines = 200_000
    stack("web", *(record(f"line {number}\n") for number in range(lines)), status="exited")
    assert pycompose("logs", "-f").out.count("\n") == lines

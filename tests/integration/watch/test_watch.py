"""Live reload: files of the host and the containers that are kept in step with them."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.kit.stack import REPOSITORY, free_port, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

SYNC = """
    services:
      web:
        image: localhost/host
        command: sleep 1000
        init: true
        develop:
          watch:
            - {path: ./src, action: sync, target: /app, initial_sync: true, ignore: [skipped]}
            - {path: ./conf, action: sync+restart, target: /conf}
            - {path: ./hook, action: sync+exec, target: /hook, exec: {command: sh -c 'cat /hook/f >> /ran'}}
            - {path: ./only, action: restart}
"""


class Session:
    """A `pycompose watch` (or `up --watch`) in the background."""

    def __init__(self, stack: Stack, *arguments: str) -> None:
        self.stack = stack
        self.lines: list[str] = []
        self.process = stack.start(*arguments)
        self._readers = [
            threading.Thread(target=self._read, args=(stream,)) for stream in (self.process.stdout, self.process.stderr)
        ]
        for reader in self._readers:
            reader.start()

    def says(self, pattern: str, times: int = 1) -> str:
        """The last line so far that matches, once `times` lines do."""

        def look() -> str | None:
            found = [line for line in self.lines if re.search(pattern, line)]
            return found[-1] if len(found) >= times else None

        return str(poll(look, what=f"{pattern} in {self.lines}"))

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            for reader in self._readers:
                reader.join()
            for stream in (self.process.stdout, self.process.stderr):
                if stream is not None:
                    stream.close()

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            self.lines.append(line.rstrip("\n"))

    # --- what is in the container

    def inside(self, command: str) -> str:
        return self.stack.exec("web", "sh", "-c", command, ok=False).out

    def sees(self, path: str, text: str) -> None:
        poll(lambda: self.inside(f"cat {path}") == text, what=f"{path} is {text!r}: {self.lines}")

    def lacks(self, path: str) -> None:
        poll(lambda: self.inside(f"test -e {path} || echo gone") == "gone\n", what=f"no {path}: {self.lines}")


@contextmanager
def watching(stack: Stack) -> Iterator[Session]:
    """`watch` in the stack's folder, which Ctrl-C ends."""
    made = Session(stack, "watch")
    try:
        made.says("Watch enabled for web")
        yield made
    finally:
        code = made.stop()
    assert code == 130


@pytest.fixture
def session(stack: Stack) -> Iterator[Session]:
    stack.compose(SYNC)
    for name in ("src/a", "src/d/b", "conf/f", "hook/f", "only/f"):
        stack.write(name, "0")
    with watching(stack) as made:
        yield made


def test_written_renamed_and_deleted_files_are_followed(session: Session) -> None:
    session.sees("/app/a", "0")
    before = session.stack.inspect("web-1")["State"]
    session.stack.write("src/a", "1")
    session.sees("/app/a", "1")
    (session.stack.folder / "src/a").rename(session.stack.folder / "src/renamed")
    session.sees("/app/renamed", "1")
    session.lacks("/app/a")
    session.stack.write("src/new/deep/file", "x")
    session.sees("/app/new/deep/file", "x")
    shutil.rmtree(session.stack.folder / "src/new")
    session.lacks("/app/new")
    session.stack.write("src/skipped", "x")
    session.stack.write("src/a", "2")
    session.sees("/app/a", "2")
    session.lacks("/app/skipped")
    assert session.stack.inspect("web-1")["State"]["Pid"] == before["Pid"]


def test_a_restart_is_one_calm_line_and_keeps_container_and_network(session: Session) -> None:
    before = session.stack.inspect("web-1")
    namespace = _namespace(before)
    session.stack.write("conf/f", "1")
    line = session.says("restarted")
    assert re.fullmatch(r"web: f synced, restarted \(\d+ ms\)", line)
    after = session.stack.inspect("web-1")
    session.sees("/conf/f", "1")
    assert after["Id"] == before["Id"]
    assert after["State"]["Pid"] != before["State"]["Pid"]
    assert (_namespace(after), _addresses(after)) == (namespace, _addresses(before))
    (session.stack.folder / "conf/f").touch()
    session.stack.write("only/f", "1")
    session.says(r"web: f restarted \(\d+ ms\)")
    assert sum("restarted" in line for line in session.lines) == 2


def _namespace(container: dict[str, Any]) -> str:
    return os.readlink(f"/proc/{container['State']['Pid']}/ns/net")


def _addresses(container: dict[str, Any]) -> list[tuple[str, str]]:
    networks = container["NetworkSettings"]["Networks"].values()
    return [(endpoint["IPAddress"], endpoint["MacAddress"]) for endpoint in networks]


def test_a_command_runs_after_its_files_are_there(session: Session) -> None:
    session.stack.write("hook/f", "first")
    session.says(r"web: f synced, command run")
    assert session.inside("cat /ran") == "first"


def test_a_switch_of_a_thousand_files_is_one_reload(session: Session) -> None:
    for number in range(1000):
        session.stack.write(f"src/many/{number % 20}/{number}", str(number))
    session.says(r"web: 1\d\d\d files synced")
    assert session.inside("find /app/many -type f | wc -l") == "1000\n"
    assert sum(" synced" in line for line in session.lines) == 2  # the first one is initial_sync


def test_a_fix_reaches_a_program_that_has_ended_before_it_starts(session: Session) -> None:
    session.stack.run("kill", "web")
    poll(lambda: session.stack.states() == {"web-1": "exited"})
    session.stack.write("src/a", "fixed")
    session.says("a changed, to be synced when a container runs")
    session.stack.write("conf/f", "fixed")
    session.says("web: f synced, started")
    assert session.inside("cat /app/a /conf/f") == "fixedfixed"


def test_a_replica_made_meanwhile_gets_what_changed_before(session: Session) -> None:
    session.stack.write("src/a", "1")
    session.sees("/app/a", "1")
    session.stack.run("scale", "web=2")
    session.stack.write("src/d/b", "2")
    session.says("b synced in 2 containers")
    assert session.stack.run("exec", "-T", "--index", "2", "web", "cat", "/app/a", "/app/d/b").out == "12"


def test_an_error_is_told_and_watching_goes_on(session: Session) -> None:
    session.stack.write("src/a", "1")
    session.sees("/app/a", "1")
    session.inside("mkdir -p /ro && rm -rf /hook && ln -s /proc/sys /hook")
    session.stack.write("hook/kernel", "x")
    session.says("reload failed")
    session.stack.write("src/a", "2")
    session.sees("/app/a", "2")


def test_a_name_that_is_no_text_does_not_end_the_watching(session: Session) -> None:
    for number in ("1", "2"):
        Path(os.fsdecode(os.fsencode(session.stack.folder / "src/odd") + b"\xff~")).write_text(number)
        session.stack.write("src/a", number)
        session.sees("/app/a", number)


def test_the_engine_may_die_while_files_change(session: Session) -> None:
    session.stack.kill(session.stack.status()["Pid"])
    session.stack.write("src/a", "survived")
    session.sees("/app/a", "survived")


def test_what_is_mounted_already_is_not_watched_and_rebuild_needs_a_build(stack: Stack) -> None:
    stack.write("src/a", "x")
    stack.compose("""
    services:
      web:
        image: localhost/host
        command: sleep 1000
        volumes: [./src:/app]
        develop:
          watch:
            - {path: ./src, action: sync, target: /app}
    """)
    refused = stack.run("watch", ok=False)
    assert refused.code == 1
    assert "is mounted at /app already" in refused.err
    assert stack.run("ps", "-aq").out == ""
    stack.compose("""
    services:
      web:
        image: localhost/host
        develop:
          watch: [{path: ./src, action: rebuild}]
    """)
    assert "action rebuild without a build context" in stack.run("watch", ok=False).err
    stack.compose("services: {web: {image: localhost/host}}")
    assert "none of the selected services is configured for watch" in stack.run("watch", ok=False).err


def test_attached_up_watches_shows_logs_and_stops_all_with_ctrl_c(stack: Stack) -> None:
    stack.write("src/say", "one")
    stack.compose("""
    services:
      web:
        image: localhost/host
        init: true
        command: sh -c 'while ! cat /app/say; do sleep 0.02; done 2>/dev/null; echo; exec sleep 1000'
        develop:
          watch: [{path: ./src, action: sync+restart, target: /app, initial_sync: true}]
    """)
    session = Session(stack, "up", "--watch")
    try:
        session.says(r"web-1\s+\| one")
        session.says("Watch enabled for web")
        stack.write("src/say", "two")
        session.says(r"web: say synced, restarted")
        session.says(r"web-1\s+\| two")
        assert session.process.poll() is None
    finally:
        code = session.stop()
    assert code == 130
    assert stack.states() == {"web-1": "exited"}


def test_the_live_reload_example_does_what_it_says(stack: Stack) -> None:
    shutil.copytree(REPOSITORY / "examples/live-reload", stack.folder, dirs_exist_ok=True)
    stack.environment["PORT"] = port = str(free_port())

    def page() -> str:
        try:
            return stack.http(int(port))
        except OSError:
            return ""

    session = Session(stack, "watch")
    try:
        poll(lambda: "Version 1," in page(), what="the first page")
        stack.write("app/greeting.txt", "Hello again.\n")
        poll(lambda: "Hello again.\n" in page(), what="the changed greeting")
        program = stack.folder / "app/web.py"
        program.write_text(program.read_text().replace("VERSION = 1", "VERSION = 2"))
        poll(lambda: "Version 2," in page(), what="the changed program")
        assert "Hello again.\n" in page()
    finally:
        session.stop()

"""Watch rules that rebuild: what changed is built, its service gets new containers, nobody else notices."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.watch.test_watch import watching
from tests.kit.machine import cgroup_directories
from tests.kit.stack import poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.watch.test_watch import Session
    from tests.kit.stack import Stack

pytestmark = pytest.mark.root

DOCKERFILE = "FROM localhost/host\nWORKDIR /srv\nCOPY src/ .\nRUN ./check\nCMD sleep 1000\n"


@pytest.fixture
def session(stack: Stack) -> Iterator[Session]:
    stack.compose("""
    services:
      web:
        build: .
        init: true
        develop:
          watch:
            - {path: ./src, action: rebuild}
            - {path: ./live, action: sync, target: /live}
      other:
        image: localhost/host
        command: sleep 1000
        init: true
        depends_on: [web]
    """)
    stack.write("Dockerfile", DOCKERFILE)
    stack.write(".dockerignore", "src/notes\n")
    stack.write("src/check", "#!/bin/sh\nexit 0\n").chmod(0o755)
    stack.write("src/file", "0")
    stack.write("live/file", "0")
    with watching(stack) as made:
        yield made


def test_a_changed_file_rebuilds_and_replaces_its_service_alone(session: Session) -> None:
    stack = session.stack
    before, other = stack.inspect("web-1"), stack.inspect("other-1")
    stack.write("live/file", "1")
    session.says("file synced")
    stack.write("src/file", "1")
    line = session.says("rebuilt")
    assert re.fullmatch(r"web: file rebuilt, recreated \(\d+ ms\)", line)
    after = stack.inspect("web-1")
    assert after["Id"] != before["Id"]
    assert after["Image"] != before["Image"]
    assert stack.inspect("other-1")["State"]["Pid"] == other["State"]["Pid"]
    assert session.inside("cat /srv/file") == "1"
    # what was only synced comes along into the new container
    session.sees("/live/file", "1")
    poll(lambda: not _dangling(stack), what="the replaced image goes")
    # an ignored file is no change, and a changed comment that gives the same image none either
    stack.write("src/notes", "ignored")
    (stack.folder / "src/file").touch()
    stack.write("live/file", "2")
    session.sees("/live/file", "2")
    assert sum("rebuilt" in line for line in session.lines) == 1


def _dangling(stack: Stack) -> list[str]:
    return stack.run("image", "ls", "-q", "--filter", "dangling=true").lines


def test_a_failing_build_is_told_and_leaves_the_container_running(session: Session) -> None:
    stack = session.stack
    before = stack.inspect("web-1")
    stack.write("src/check", "#!/bin/sh\necho out of order; exit 4\n").chmod(0o755)
    line = session.says("rebuild failed")
    assert re.fullmatch(r'web: check changed, rebuild failed: process "/bin/sh -c ./check" .* exit code: 4', line)
    session.says("out of order")
    assert stack.inspect("web-1")["State"]["Pid"] == before["State"]["Pid"]
    stack.write("src/check", "#!/bin/sh\nexit 0 # mended\n")
    session.says("rebuilt, recreated")


def test_changes_during_a_build_are_one_more_build(session: Session) -> None:
    stack = session.stack
    stack.write("src/check", "#!/bin/sh\nsleep 2\n").chmod(0o755)
    poll(lambda: _is_running(stack, "check"), what="the build runs")
    for number in range(5):
        stack.write("src/file", f"late {number}")
        stack.write("live/file", f"meanwhile {number}")
        session.sees("/live/file", f"meanwhile {number}")
    session.says("rebuilt", times=2)
    assert session.inside("cat /srv/file") == "late 4"
    assert sum("rebuilt" in line for line in session.lines) == 2


def test_ctrl_c_gives_a_build_up(session: Session) -> None:
    stack = session.stack
    before = stack.inspect("web-1")
    stack.write("src/check", "#!/bin/sh\nsleep 50\n").chmod(0o755)
    poll(lambda: _is_running(stack, "check"), what="the build runs")
    session.stop()
    assert not [line for line in session.lines if "failed" in line]
    assert stack.inspect("web-1")["Id"] == before["Id"]
    poll(lambda: not _is_running(stack, "check"), what="the build is gone")


def _is_running(stack: Stack, program: str) -> bool:
    """Whether a step of a build of this stack's engine runs the program."""
    for root in cgroup_directories(f"pycompose/{stack.engine_id()}"):
        for folder, _, _ in os.walk(root):  # does not mind what vanishes under it
            if "/build-" in folder and any(_runs(pid, program) for pid in _members(folder)):
                return True
    return False


def _members(folder: str) -> list[str]:
    try:
        return Path(folder, "cgroup.procs").read_text().split()
    except OSError:
        return []


def _runs(pid: str, program: str) -> bool:
    try:
        return f"./{program}".encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False

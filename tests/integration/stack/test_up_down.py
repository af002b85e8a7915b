"""`up`, `down` and what lies between: the life of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kit import machine

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

TWO = """
    services:
      web:
        image: localhost/host
        command: sleep 1000
        init: true
        depends_on: [db]
      db:
        image: localhost/host
        command: sleep 1000
        init: true
"""


def test_up_runs_every_service_and_down_leaves_nothing(stack: Stack) -> None:
    stack.compose(TWO)
    up = stack.run("up", "-d")
    assert f"Network {stack.project}_default  Created" in up.err
    assert f"Container {stack.project}-web-1  Started" in up.err
    assert stack.states() == {"web-1": "running", "db-1": "running"}
    engine = stack.engine_id()
    assert stack.is_peer or machine.links(engine[:4])
    down = stack.run("down")
    assert f"Container {stack.project}-web-1  Removed" in down.err
    assert f"Network {stack.project}_default  Removed" in down.err
    assert stack.ps() == []
    assert stack.networks() == []
    assert stack.is_peer or not machine.links(f"pyc{engine[:4]}")


def test_a_second_up_changes_nothing(stack: Stack) -> None:
    stack.compose(TWO)
    stack.run("up", "-d")
    before = stack.inspect("web-1")
    second = stack.run("up", "-d")
    assert f"Container {stack.project}-web-1  Running" in second.err
    assert stack.inspect("web-1")["State"]["Pid"] == before["State"]["Pid"]


def test_only_the_changed_service_is_recreated_and_the_line_says_why(stack: Stack) -> None:
    stack.compose(TWO)
    stack.run("up", "-d")
    web, db = stack.inspect("web-1"), stack.inspect("db-1")
    stack.compose(TWO.replace("command: sleep 1000", "command: sleep 2000", 1))
    changed = stack.run("up", "-d")
    assert "Recreated" in changed.err
    assert stack.is_peer or "configuration changed" in changed.err
    assert stack.inspect("web-1")["Id"] != web["Id"]
    assert stack.inspect("db-1")["Id"] == db["Id"]
    assert stack.states() == {"web-1": "running", "db-1": "running"}


def test_named_services_start_with_what_they_depend_on(stack: Stack) -> None:
    stack.compose(TWO + "      other:\n        image: localhost/host\n        command: sleep 1000\n")
    stack.run("up", "-d", "web")
    assert stack.states() == {"web-1": "running", "db-1": "running"}


def test_scale_goes_up_and_down_and_keeps_the_lowest_numbers(stack: Stack) -> None:
    stack.compose(TWO)
    stack.run("up", "-d", "--scale", "web=3")
    first = stack.inspect("web-1")["Id"]
    assert set(stack.states()) == {"web-1", "web-2", "web-3", "db-1"}
    stack.run("scale", "web=1")
    assert set(stack.states()) == {"web-1", "db-1"}
    assert stack.inspect("web-1")["Id"] == first


def test_stop_start_and_restart_keep_the_container(stack: Stack) -> None:
    stack.compose(TWO)
    stack.run("up", "-d")
    before = stack.inspect("web-1")
    stack.run("stop", "-t", "2")
    assert stack.states() == {"web-1": "exited", "db-1": "exited"}
    stack.run("start")
    assert stack.states() == {"web-1": "running", "db-1": "running"}
    stack.run("restart", "-t", "2", "web")
    after = stack.inspect("web-1")
    assert after["Id"] == before["Id"]
    assert after["State"]["Pid"] != before["State"]["Pid"]


@pytest.mark.ours
def test_dry_run_tells_the_plan_and_changes_nothing(stack: Stack) -> None:
    stack.compose(TWO)
    plan = stack.run("--dry-run", "up", "-d")
    assert "service:web:1, CreateContainer, missing" in plan.out
    assert stack.ps() == []


def test_down_removes_named_volumes_only_when_asked(stack: Stack) -> None:
    stack.compose(
        TWO.replace("init: true", "init: true\n        volumes: [data:/data]", 1) + "    volumes:\n      data:\n"
    )
    stack.run("up", "-d")
    stack.exec("web", "sh", "-c", "echo kept > /data/file")
    stack.run("down")
    stack.run("up", "-d")
    assert stack.exec("web", "cat", "/data/file").out == "kept\n"
    down = stack.run("down", "-v")
    assert f"Volume {stack.project}_data  Removed" in down.err
    assert stack.volumes() == []


@pytest.mark.ours
def test_two_ups_at_once_make_one_stack(stack: Stack) -> None:
    stack.compose(TWO)
    ups = [stack.start("up", "-d") for _ in range(3)]
    results = [(up.communicate(timeout=60), up.returncode) for up in ups]
    assert [code for _, code in results] == [0, 0, 0], results
    assert stack.states() == {"web-1": "running", "db-1": "running"}


def test_exec_gives_output_and_exit_code(stack: Stack) -> None:
    stack.compose(TWO)
    stack.run("up", "-d")
    assert stack.exec("web", "echo", "hello").out == "hello\n"
    assert stack.exec("web", "sh", "-c", "exit 7", ok=False).code == 7
    assert stack.exec("web", "sh", "-c", "kill -TERM $$", ok=False).code == 143
    assert stack.exec("web", "cat", stdin="from outside").out == "from outside"
    both = stack.exec("web", "sh", "-c", "echo out; echo err >&2")
    assert (both.out, both.err) == ("out\n", "err\n")
    missing = stack.exec("web", "nosuch", ok=False)
    assert missing.code in {126, 127}
    assert "nosuch" in missing.out + missing.err


def test_down_by_project_name_needs_no_file(stack: Stack) -> None:
    stack.compose(TWO)
    stack.run("up", "-d")
    (stack.folder / "compose.yaml").unlink()
    stack.run("-p", stack.project, "down")
    assert stack.containers() == []

"""Services that a provider program stands for, beside real containers that use what it gives."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

PROGRAM = """#!/bin/sh
[ "$2" = metadata ] && exit 1
echo "$*" >> "$CLOUD_CALLS"
echo '{"type": "info", "message": "on it"}'
echo '{"type": "setenv", "message": "URL=cloud://db"}'
"""


@pytest.fixture
def cloud(stack: Stack) -> Stack:
    program = stack.write("bin/testcloud", PROGRAM)
    program.chmod(0o755)
    stack.environment["PATH"] = f"{program.parent}:{os.environ['PATH']}"
    stack.environment["CLOUD_CALLS"] = str(program.parent / "calls")
    stack.compose("""
        services:
          web:
            image: localhost/host
            command: sleep 1000
            stop_signal: SIGKILL
            depends_on: [db]
            environment: {MODE: test}  # without any, `down` of Compose 2.40.3 ends in a panic
          db: {provider: {type: testcloud, options: {size: 3}}}
    """)
    return stack


def calls(stack: Stack) -> list[str]:
    with open(stack.environment["CLOUD_CALLS"], encoding="utf-8") as file:
        return [line.removeprefix(f"compose --project-name={stack.project} ").strip() for line in file]


def test_up_asks_the_program_and_gives_dependents_its_variables(cloud: Stack) -> None:
    up = cloud.run("up", "-d")
    assert [line.split() for line in up.err.splitlines() if line.startswith(" db ")] == [
        ["db", "Creating"],
        ["db", "on", "it"],
        ["db", "Created"],
    ]
    assert cloud.run("exec", "-T", "web", "printenv", "DB_URL").out == "cloud://db\n"
    again = cloud.run("up", "-d")
    assert " Container" in again.err
    assert "Recreate" not in again.err
    assert cloud.containers() == ["web-1"]
    cloud.run("down")
    assert calls(cloud) == ["up --size=3 db", "up --size=3 db", "down --size=3 db"]


def test_a_program_that_is_not_there_ends_up_before_any_container(cloud: Stack) -> None:
    found = cloud.environment.pop("PATH")
    up = cloud.run("up", "-d", ok=False)
    cloud.environment["PATH"] = found
    assert up.code == 1
    assert 'exec: "testcloud": executable file not found in $PATH' in up.err
    assert cloud.containers() == []

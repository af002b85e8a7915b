"""Every flag of Docker Compose 2.40.3 exists with us, command by command."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.core import TyperOption

from compose.cli import app
from tests.unit.cli.compose_flags import FLAGS

if TYPE_CHECKING:
    from tests.kit.fakeengine import FakeEngine
    from tests.unit.cli.conftest import CommandLine

NOT_THERE_YET = frozenset({"build", "bridge", "commit", "export", "publish", "pull", "push"})
"""Commands that need not be here yet; one that is must have all its flags."""


def known(name: str) -> set[str]:
    """All names of the options of one of our commands, or of the program itself."""
    root = app._root()
    command = root if not name else root.get_command(None, name)  # type: ignore[attr-defined]
    assert command is not None, name
    return {
        option
        for param in command.params
        if isinstance(param, TyperOption)
        for option in (*param.opts, *param.secondary_opts)
    }


@pytest.mark.parametrize("command", sorted(FLAGS))
def test_every_flag_of_compose_is_known(command: str) -> None:
    if command in NOT_THERE_YET and command not in app.COMMANDS:
        pytest.skip("not there yet")
    wanted = {name for flag in FLAGS[command].split(" | ") if flag for name in flag.split()}
    assert not wanted - known(command)


def test_only_the_listed_commands_are_missing() -> None:
    assert FLAGS.keys() - {*app.COMMANDS, *app.GROUPS, ""} <= NOT_THERE_YET


def test_how_many_operations_run_at_a_time_is_the_users_choice(pycompose: CommandLine, engine: FakeEngine) -> None:
    pycompose("--parallel", "2", "up", "-d")
    pycompose.environ["COMPOSE_PARALLEL_LIMIT"] = "3"
    engine.containers.clear()
    pycompose("up", "-d")
    engine.containers.clear()
    pycompose("--parallel", "-1", "up", "-d")
    del pycompose.environ["COMPOSE_PARALLEL_LIMIT"]
    engine.containers.clear()
    pycompose("up", "-d")
    assert [plan.get("limit") for plan in engine.plans if plan["operations"]] == [2, 3, 3, None]

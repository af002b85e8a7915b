"""What is in the wheel, and that it is enough."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.stack import Stack

    from .conftest import Environment


def test_the_wheel_holds_the_product_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    info, data = (f"{wheel.name.rsplit('-', 3)[0]}.{kind}" for kind in ("dist-info", "data"))
    assert {name.partition("/")[0] for name in names} == {"compose", "runtime", "schemas", info, data}
    assert [name for name in names if name.startswith(data)] == [f"{data}/scripts/pycompose"]
    assert "schemas/compose-spec.json" in names
    assert "compose/cli/commands/up.py" in names
    assert {f"compose/cli/shells/pycompose.{shell}" for shell in ("bash", "fish", "zsh")} < set(names)
    assert not [name for name in names if "__pycache__" in name or name.rpartition("/")[2].startswith("test_")]


@pytest.mark.root
def test_a_stack_runs_from_a_clean_environment(environment: Environment, stack: Stack) -> None:
    stack.program = environment.program
    stack.environment["PYTHONPATH"] = ""
    stack.compose("""
        services:
          a:
            image: localhost/host
            command: sleep 1000
            init: true
            healthcheck: {test: "true", interval: 1s}
    """)
    stack.run("up", "-d", "--wait")
    assert stack.exec("a", "echo", "from the wheel").out == "from the wheel\n"
    executed = (stack.root / "data" / "engine.log").read_text()
    assert "Traceback" not in executed
    stack.run("down", "-t", "1")

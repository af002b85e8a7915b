"""What is in the wheel, and that it is enough."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
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


def test_the_program_runs_by_a_link_and_says_so_where_it_is_not_installed(
    environment: Environment, tmp_path: Path
) -> None:
    (program,) = environment.program
    link = tmp_path / "link"
    link.symlink_to(program)
    done = subprocess.run([link, "version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("pycompose version")
    stray = tmp_path / "stray"
    stray.write_bytes(Path(program).read_bytes())
    stray.chmod(0o755)
    found = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": ""}
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "bare"], check=True)
    (tmp_path / "python3").symlink_to(tmp_path / "bare/bin/python3")
    refused = subprocess.run([stray, "version"], capture_output=True, text=True, check=False, env=found, cwd="/")
    assert refused.returncode == 1
    assert "run it by the Python it was installed with" in refused.stderr


@pytest.mark.root
def test_a_warm_command_does_without_site(environment: Environment, stack: Stack) -> None:
    stack.program = environment.program
    stack.environment |= {"PYTHONPATH": "", "PYCOMPOSE_WARM": "1"}
    stack.compose("services: {a: {image: localhost/host, command: sleep 1000, init: true}}")
    stack.run("up", "-d")
    stack.environment["PYTHONPROFILEIMPORTTIME"] = "1"

    def imported() -> set[str]:
        lines = stack.run("ps", "-q").err.splitlines()
        return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}

    found = poll(lambda: (names := imported()) and "typer" not in names and names, what="a warm command")
    assert "compose.cli.warm.front" in found
    assert not {"site", "re", "sitecustomize"} & found
    stack.environment["PYCOMPOSE_WARM"] = "0"
    assert {"site", "typer"} <= imported()
    stack.run("down", "-t", "1")


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

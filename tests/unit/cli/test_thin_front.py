"""The way to the warm server stays thin: what it imports, and what the server has made before a command comes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer import _click

from compose.cli import app
from compose.loader import cache
from tests.kit.stack import REPOSITORY

COSTLY = {"typing", "re", "enum", "contextlib", "json", "socket", "signal", "typer", "compose.cli.app"}
"""Each costs the interpreter a millisecond and more, and a warm command needs none of them."""


def test_the_way_to_the_warm_server_imports_nothing_costly() -> None:
    program = "import compose.__main__, compose.cli.warm.front, _socket, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys; sys.path.append({str(REPOSITORY)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not COSTLY & set(done.stdout.split())


@pytest.mark.parametrize(("group", "name"), [("image", "build"), ("network", "ls"), ("engine", "status")])
def test_commands_of_groups_are_made_once(group: str, name: str) -> None:
    app.prepare()
    made = app._command.cache_info().misses
    context = _click.Context(app._root())
    found = app._root().get_command(context, group)
    assert isinstance(found, app.LazyGroup)
    assert found.get_command(context, name) is not None
    assert app._command.cache_info().misses == made


def test_what_tells_this_program_from_another_is_found_out_once() -> None:
    assert cache.program() is cache.program()
    assert any(entry.startswith("pipeline.py ") for entry in cache.program())

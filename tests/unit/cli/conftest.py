"""A fake engine and a command line that runs against it in this process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import pytest

from compose.cli import app
from compose.cli.console import Console
from compose.errors import ComposeError
from runtime.errors import EngineError
from tests.kit.fakeengine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECT = """
name: app
services:
  web:
    image: localhost/host
    depends_on: [db]
  db:
    image: localhost/host
"""


class Result(NamedTuple):
    code: int
    out: str
    err: str


class CommandLine:
    """`pycompose` in a project directory; what an error would print stands in `err`."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        self.folder = folder
        self.environ = environ
        self.stdin = ""

    def __call__(self, *arguments: str) -> Result:
        paths = [self.folder.parent / name for name in ("stdin", "stdout", "stderr")]
        paths[0].write_text(self.stdin)
        with paths[0].open() as stdin, paths[1].open("w") as stdout, paths[2].open("w") as stderr:
            console = Console(environ=self.environ, cwd=str(self.folder), stdin=stdin, stdout=stdout, stderr=stderr)
            try:
                code = app.main(arguments, console)
            except ComposeError as error:
                code = error.exit_code
                console.error(error.message)
            except EngineError as error:
                code = 1
                console.error(error.message)
        return Result(code, paths[1].read_text(), paths[2].read_text())


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[FakeEngine]:
    fake = FakeEngine(tmp_path)
    fake.images = {"localhost/host": {"Id": "sha256:" + "1" * 64, "Config": {}}}
    yield fake
    fake.close()


@pytest.fixture
def pycompose(tmp_path: Path, engine: FakeEngine) -> CommandLine:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "compose.yaml").write_text(PROJECT)
    os.makedirs(tmp_path / "data", exist_ok=True)
    # the fake's Paths are those that PYCOMPOSE_ROOT leads to
    return CommandLine(folder, {"PYCOMPOSE_ROOT": str(tmp_path), "HOME": "/", "PATH": "/bin"})

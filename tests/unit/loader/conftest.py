"""A project directory to write files into and load from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

from compose.errors import LoadError
from compose.loader.options import LoadOptions
from compose.loader.pipeline import load

if TYPE_CHECKING:
    from pathlib import Path

    from compose.model.project import Project


class Workdir:
    """Writes files and loads them."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def write(self, name: str, content: str | bytes) -> None:
        """Write a file."""
        target = os.path.join(self.path, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "wb") as file:
            file.write(content if isinstance(content, bytes) else content.encode())

    def load(self, text: str | bytes = "", environ: dict[str, str] | None = None, **options: Any) -> Project:
        """Load the project, with `text` as its compose.yaml."""
        if text:
            self.write("compose.yaml", text)
        return load(LoadOptions(cwd=self.path, environ=environ or {}, **options))

    def problems(self, text: str | bytes = "", environ: dict[str, str] | None = None, **options: Any) -> list[str]:
        """What is wrong with the project, the directory left out."""
        with pytest.raises(LoadError) as caught:
            self.load(text, environ, **options)
        return [str(problem).replace(f"{self.path}/", "") for problem in caught.value.problems]


@pytest.fixture
def workdir(tmp_path: Path) -> Workdir:
    path = tmp_path / "app"
    path.mkdir()
    return Workdir(path)

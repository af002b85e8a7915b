"""The wheel as users install it: built once, put into environments that hold nothing else of the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Environment:
    """A virtual environment with the wheel in it."""

    folder: Path

    @property
    def program(self) -> tuple[str, ...]:
        return (str(self.folder / "bin" / "pycompose"),)

    @property
    def packages(self) -> Path:
        return next((self.folder / "lib").glob("python3*")) / "site-packages"

    def become(self, version: str) -> None:
        """Make it another version in place, as `pip install` of another wheel would."""
        path = self.packages / "runtime" / "version.py"
        lines = [f'VERSION = "{version}"' if line.startswith("VERSION") else line for line in text(path).splitlines()]
        path.unlink()
        path.write_text("\n".join([*lines, f"# {version}", ""]))


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with the build backend of this environment: nothing is downloaded."""
    pytest.importorskip("hatchling", reason="building a wheel needs hatchling")
    folder = tmp_path_factory.mktemp("dist")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(folder), str(REPOSITORY)],
        check=True,
        cwd="/",
    )
    (made,) = folder.glob("*.whl")
    return made


def install(wheel: Path, folder: Path) -> Environment:
    """A clean environment; what the wheel depends on comes from this one, without our own sources in it."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    made = Environment(folder)
    (made.packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(folder / "bin" / "python")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    # --ignore-installed: what is visible through the .pth file counts as installed
    subprocess.run(
        [*pip, "install", "-q", "--no-deps", "--no-index", "--ignore-installed", str(wheel)],
        check=True,
        cwd="/",
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    return made


@pytest.fixture
def environment(wheel: Path, tmp_path: Path) -> Environment:
    return install(wheel, tmp_path / "a path with blanks")

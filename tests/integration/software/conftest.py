"""Real software: one engine a test process with the Debian image in it, and a project of its own for each test."""

from __future__ import annotations

import secrets
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit import debian
from tests.kit.stack import Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "debian:software"


@dataclass
class Tenant(Stack):
    """One of several projects of an engine."""

    @property
    def folder(self) -> Path:
        return self.root / "projects" / self.project


@pytest.fixture(scope="session")
def debian_engine(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """An engine that has the image; the import of half a gigabyte is paid once a test process."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def say(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{text}", file=sys.stderr, flush=True)

    archive = debian.root_archive(say)
    root = Path(tempfile.mkdtemp(prefix="pyc-"))
    owner = Stack(root=root, project=f"t{secrets.token_hex(3)}")
    try:
        owner.run("image", "import", "-q", str(archive), IMAGE, timeout=180)
        yield owner
        owner.close()
    finally:
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def software(debian_engine: Stack) -> Iterator[Tenant]:
    """A project on the engine with the Debian image; taken down with its volumes at the end."""
    made = Tenant(root=debian_engine.root, project=f"t{secrets.token_hex(3)}")
    yield made
    made.run("-p", made.project, "down", "-v", "-t", "3")
    labelled = f"com.docker.compose.project={made.project}"
    assert made.api(f"/v1/containers?all=1&label={labelled}") == []

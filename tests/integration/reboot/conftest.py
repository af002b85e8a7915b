"""A stack on a machine that can lose its power."""

from __future__ import annotations

import secrets
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.kit.boot import BootedStack, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def rebooted(tmp_path: Path) -> Iterator[BootedStack]:
    """Booted; nothing of it is left on this machine after the test."""
    root = Path(tempfile.mkdtemp(prefix="pyc-"))
    made = BootedStack(root=root, project=f"t{secrets.token_hex(3)}", machine=Machine(tmp_path))
    try:
        made.boot()
        yield made
        made.close()
    finally:
        made.power_cut()
        shutil.rmtree(root, ignore_errors=True)

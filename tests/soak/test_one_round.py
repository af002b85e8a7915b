"""One short round of the soak, always the same: so that it keeps working, and what it shows holds at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.soak.__main__ import Soak

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
ROUND = ("up", "exec storm", "kill both", "all at once", "kill shim", "up")


def test_after_some_accidents_everything_is_as_the_files_say_and_nothing_is_left() -> None:
    root = Path(tempfile.mkdtemp(prefix="pyc-"))
    soak = Soak(root, seed=1, count=1)
    try:
        soak.play_round(ROUND)
        soak.rest()
    finally:
        soak.projects[0].close()
        shutil.rmtree(root, ignore_errors=True)

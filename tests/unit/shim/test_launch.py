"""The interpreter's copy cannot be written to; the engine's command names this package."""

from __future__ import annotations

import os
import sys

import pytest

from runtime.paths import Paths
from runtime.shim import launch


def test_a_sealed_copy_has_the_content_and_takes_no_write():
    memfd = launch.sealed_copy(sys.executable)
    try:
        with open(os.path.realpath(sys.executable), "rb") as file:
            assert os.pread(memfd, 4096, 0) == file.read(4096)
        assert os.fstat(memfd).st_size == os.stat(sys.executable).st_size
        with pytest.raises(PermissionError):
            os.pwrite(memfd, b"x", 0)
        with pytest.raises(OSError, match="Operation not permitted|Text file busy"):
            os.ftruncate(memfd, 0)
    finally:
        os.close(memfd)


def test_the_engine_is_started_with_this_package_first_on_its_path():
    command = launch.engine_command(Paths(root="/r", run="/x"), {"A": "b", "PYTHONPATH": "/other"})
    assert command["argv"] == [sys.executable, "-m", "runtime.daemon", "--root", "/r", "--run", "/x"]
    assert command["env"] == {"A": "b", "PYTHONPATH": f"{launch.package_root()}:/other"}
    assert command["lock"] == "/x/engine.lock"

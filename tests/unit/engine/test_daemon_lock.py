"""The engine's lock: one engine, and a probe of the lock does not keep it away."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from typing import TYPE_CHECKING

from runtime import daemon

if TYPE_CHECKING:
    from pathlib import Path


def held(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT)
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def test_a_lock_that_is_held_for_a_moment_is_waited_for(tmp_path: Path) -> None:
    probe = held(tmp_path / "lock")

    def let_go() -> None:
        time.sleep(0.02)
        os.close(probe)

    releasing = threading.Thread(target=let_go)
    fd = os.open(tmp_path / "lock", os.O_RDWR)
    releasing.start()
    assert daemon._lock(fd)
    releasing.join()
    os.close(fd)


def test_another_engine_s_lock_is_respected(tmp_path: Path) -> None:
    other = held(tmp_path / "lock")
    fd = os.open(tmp_path / "lock", os.O_RDWR)
    assert not daemon._lock(fd)
    os.close(fd)
    os.close(other)

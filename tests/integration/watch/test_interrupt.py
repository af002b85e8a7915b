"""Ctrl-C while files are watched, at the moments that are hard to hit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

from tests.kit.stack import REPOSITORY, poll
from tests.unit.watch.test_session import watch

if TYPE_CHECKING:
    from pathlib import Path

THRICE = """
import signal
from compose.cli.commands.watch import interruptions
count = interruptions()
signal.raise_signal(signal.SIGINT)
print(count(), flush=True)
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("given up", flush=True)
try:
    signal.raise_signal(signal.SIGINT)
finally:
    print("still waiting", flush=True)
"""


def test_a_wait_ends_that_is_interrupted_when_it_has_no_time_left(tmp_path: Path) -> None:
    """As happens on a machine under load: the interruption is not dealt with before the wait should have ended."""
    ended = threading.Event()
    times = 0

    def interrupt() -> None:
        for after in (0.1, 10):
            if not ended.wait(after):
                os.kill(os.getpid(), signal.SIGUSR1)

    def deal(_number: int, _frame: object) -> None:
        nonlocal times
        times += 1
        assert times == 1, "the wait goes on for ever"
        overdue = time.monotonic() + 0.5
        poll(lambda: time.monotonic() > overdue)

    before = signal.signal(signal.SIGUSR1, deal)
    try:
        with watch(tmp_path) as watcher:
            interrupter = threading.Thread(target=interrupt)
            interrupter.start()
            assert watcher.next(0.5) == []
            ended.set()
            interrupter.join()
    finally:
        ended.set()
        signal.signal(signal.SIGUSR1, before)
    assert times == 1


def test_the_third_ctrl_c_waits_for_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", THRICE], cwd=REPOSITORY, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.returncode, done.stdout) == (130, "1\ngiven up\n")

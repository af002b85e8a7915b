"""Processes as `ps -ef` shows them."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from runtime.linux import processes
from tests.kit.stack import poll


def test_a_row_is_what_ps_says_of_it() -> None:
    with subprocess.Popen(["sleep", "100"]) as child:
        poll(lambda: Path(f"/proc/{child.pid}/cmdline").read_bytes(), what="execve is through")
        (row,) = processes.table([child.pid])
        told = subprocess.run(["ps", "-f", "-p", str(child.pid)], capture_output=True, text=True, check=False).stdout
        child.kill()
    assert (row[1], row[2], row[7]) == (str(child.pid), str(os.getpid()), "sleep 100")
    if told:
        assert told.splitlines()[1].split() == " ".join(row).split()


def test_a_process_that_is_gone_is_left_out() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert processes.table([child.pid]) == []


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "00:00:00"), (3661, "01:01:01"), (86400 + 62, "01-00:01:02"), (100 * 86400, "100-00:00:00")]
)  # fmt: skip
def test_cpu_time(seconds: int, text: str) -> None:
    assert processes.cpu_time(seconds) == text


@pytest.mark.parametrize(
    ("device", "name"),
    [(0, "?"), (os.makedev(136, 3), "pts/3"), (os.makedev(137, 1), "pts/257"), (os.makedev(4, 1), "tty1")],
)
def test_terminals(device: int, name: str) -> None:
    assert processes.terminal_name(device) == name


def test_start_is_a_time_today_a_day_this_year_and_a_year_before() -> None:
    noon = time.mktime((2026, 6, 15, 12, 0, 0, 0, 0, -1))
    assert processes.start_text(noon - 3600, noon) == "11:00"
    assert processes.start_text(noon - 3 * 86400, noon) == "Jun12"
    assert processes.start_text(noon - 400 * 86400, noon) == "2025"

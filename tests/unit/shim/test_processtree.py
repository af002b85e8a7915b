"""Killing a process tree reaches descendants and the session, and nobody else."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from runtime.shim import processtree


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_children_grandchildren_and_orphans_of_the_session_are_killed(tmp_path):
    script = f"sleep 60 & echo $! >>{tmp_path}/pids; (sleep 60 & echo $! >>{tmp_path}/pids); sh -c 'sleep 60; :' & echo $! >>{tmp_path}/pids; echo done >>{tmp_path}/pids; wait"
    bystander = subprocess.Popen(["sleep", "60"])
    root = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    pids = tmp_path / "pids"
    wait_until(lambda: pids.exists() and "done" in pids.read_text())
    started = [int(word) for word in pids.read_text().split() if word.isdecimal()]
    assert len(started) == 3
    processtree.kill(root.pid, [])
    assert root.wait(5) == -9
    wait_until(lambda: not any(alive(pid) for pid in started))
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_only_candidates_are_looked_at():
    child = subprocess.Popen(["sleep", "60"])
    assert processtree.members(os.getpid(), []) == {os.getpid()}
    assert child.pid in processtree.members(os.getpid(), [child.pid])
    child.kill()
    child.wait()

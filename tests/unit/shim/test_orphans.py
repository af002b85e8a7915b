"""Whose process an orphan is: no other's is killed, nor taken for it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from runtime.cgroups.layout import Layout
from runtime.linux import procfs
from runtime.shim import orphans

WITHOUT_CGROUPS = Layout(0, {})


@pytest.fixture
def child():
    started = []

    def start():
        process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()


def lost(bundle):
    os.makedirs(bundle, exist_ok=True)
    return {"id": "x", "bundle": str(bundle), "cgroup": "none/x", "exit_record": f"{bundle}/exit.json"}


def test_of_two_shims_killed_at_once_each_has_its_own_process(tmp_path, child):
    one, other = child(), child()
    for name, process in (("one", one), ("other", other)):
        lost(tmp_path / name)
        orphans.note(str(tmp_path / name), process.pid, procfs.start_time(process.pid))
    assert orphans.kill(WITHOUT_CGROUPS, lost(tmp_path / "one")) == one.pid
    assert one.wait(10) == -9
    assert other.poll() is None
    assert orphans.kill(WITHOUT_CGROUPS, lost(tmp_path / "other")) == other.pid


def test_a_number_that_another_process_has_by_now_is_not_killed(tmp_path, child):
    process = child()
    orphans.note(str(tmp_path), process.pid, procfs.start_time(process.pid) - 1)
    assert orphans.kill(WITHOUT_CGROUPS, lost(tmp_path)) is None
    assert process.poll() is None


def test_one_that_was_never_made_or_is_not_ours_to_reap_is_none(tmp_path):
    assert orphans.kill(WITHOUT_CGROUPS, lost(tmp_path)) is None
    orphans.note(str(tmp_path), os.getpid(), procfs.start_time(os.getpid()))
    assert orphans.kill(WITHOUT_CGROUPS, lost(tmp_path)) is None


def test_the_latest_run_is_the_one_that_is_noted(tmp_path, child):
    process = child()
    orphans.note(str(tmp_path), 1, 1)
    orphans.note(str(tmp_path), process.pid, procfs.start_time(process.pid))
    assert orphans.kill(WITHOUT_CGROUPS, lost(tmp_path)) == process.pid

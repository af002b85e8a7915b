"""The doctor on this machine: answers quickly and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.linux.hostfacts import detect, overlay_problem

pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs root")]
ROOT = Path(__file__).resolve().parents[3]


def links() -> set[str]:
    """All interfaces but those of engines that other tests run at the same time."""
    return {name for name in os.listdir("/sys/class/net") if not name.startswith(("pyc", "pyv"))}


def test_doctor_examines_this_machine_and_leaves_nothing(tmp_path: Path) -> None:
    before = links()
    done = subprocess.run(
        [sys.executable, "-m", "runtime.doctor", "--json", "--root", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    data = json.loads(done.stdout)
    assert done.stderr == ""
    assert done.returncode == (0 if data["ok"] else 1)
    verdicts = {finding["need"]: finding["verdict"] for finding in data["findings"]}
    assert {"python", "kernel", "namespaces", "seccomp", "cgroups", "nftables", "bridge and veth"} <= set(verdicts)
    assert not [finding["found"] for finding in data["findings"] if "the check failed" in finding["found"]]
    assert links() == before
    assert list(tmp_path.iterdir()) == []
    assert "pycompose_doctor" not in Path("/proc/self/mountinfo").read_text()


def test_engine_s_facts_agree_with_the_trial(tmp_path: Path) -> None:
    facts = detect(str(tmp_path))
    assert facts.overlay_ok is (overlay_problem(str(tmp_path)) is None)
    assert list(tmp_path.iterdir()) == []
    assert facts.kernel >= (5, 10)
    assert facts.cpus

"""Shows where the time of `up -d` goes on this machine: by phase of the command, by step of a start, by CPU mode.

    python benchmarks/steps.py [--runs N]

Phases are differences between whole commands, each of which does one thing more than the one before. Steps are the
engine's own sums (`pycompose engine status --format json`); with many services they overlap and wait for each other.
CPU time is the whole machine's (/proc/stat): run it when nothing else does.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from contenders import Contender, ours
from run import Bench, services

COUNTS = (1, 10, 50)
PHASES = (
    ("command line answers", ("version",)),
    ("files read and checked", ("config", "-q")),
    ("state observed, plan made", ("up", "-d", "--dry-run")),
    ("plan executed", ("up", "-d")),
)
TICK = 1000 / os.sysconf("SC_CLK_TCK")


def cpu() -> dict[str, float]:
    """Milliseconds of all CPUs since boot."""
    fields = [int(field) * TICK for field in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    user, nice, system, idle, iowait, irq, softirq, *_ = fields
    return {"programs": user + nice, "kernel": system + irq + softirq, "idle": idle + iowait}


def steps(contender: Contender, folder: Path) -> dict[str, dict[str, float]]:
    """The engine's sums by step; empty before there is an engine."""
    done = subprocess.run(
        [*contender.command, "engine", "status", "--format", "json"],
        cwd=folder, env=contender.environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    found: dict[str, dict[str, float]] = json.loads(done.stdout).get("Steps", {}) if done.returncode == 0 else {}
    return found


def measure(contender: Contender, bench: Bench, count: int, figures: dict[str, list[float]]) -> None:
    """One `up -d` of `count` services, in milliseconds, added to `figures`."""
    project = bench.project(services(count))
    before = 0.0
    for phase, arguments in PHASES:
        if phase == "plan executed":
            sums, used = steps(contender, project), cpu()
        took = contender.run(project, *arguments) * 1000
        figures.setdefault(phase, []).append(took - before)
        before = took
    figures.setdefault("up -d", []).append(before)
    for mode, milliseconds in cpu().items():
        figures.setdefault(f"CPU: {mode}", []).append(milliseconds - used[mode])
    for step, total in steps(contender, project).items():
        old = sums.get(step, {"Count": 0, "Seconds": 0.0})
        times = total["Count"] - old["Count"]
        if times:
            mean = (total["Seconds"] - old["Seconds"]) / times * 1000
            figures.setdefault(f"a container: {step}", []).append(mean)
    contender.run(project, "down")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="pyc-steps-"))
    folder = root / "projects"
    folder.mkdir()
    bench = Bench(folder)
    contender = ours(root)
    table: dict[str, dict[int, list[float]]] = {}
    try:
        for count in COUNTS:
            for run in range(options.runs + 1):
                figures: dict[str, list[float]] = {}
                measure(contender, bench, count, figures)
                if run:  # the first round warms caches
                    for name, values in figures.items():
                        table.setdefault(name, {}).setdefault(count, []).extend(values)
                time.sleep(0.5)  # the worker that deletes what was removed is not to be counted
    finally:
        contender.stop()
        shutil.rmtree(root, ignore_errors=True)
    report(table)


def report(table: dict[str, dict[int, list[float]]]) -> None:
    print(f"{'milliseconds, medians':40}" + "".join(f"{count:>6} services" for count in COUNTS))
    for name, by_count in table.items():
        cells: list[Any] = [
            statistics.median(by_count[count]) if count in by_count else float("nan") for count in COUNTS
        ]
        print(f"{name:40}" + "".join(f"{cell:15.1f}" for cell in cells))


if __name__ == "__main__":
    main()

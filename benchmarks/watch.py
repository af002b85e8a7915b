"""Times live reload against Docker Compose: from writing a file until a process in the container reads it, or runs with it.

    python benchmarks/watch.py [--runs N] [--without-docker]

`visible` is seen by polling the file through /proc/PID/root, `restarted` by the program's own note of its start. The two
take turns, one project each.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contenders import IMAGE, POLL, Contender, docker, ours

if TYPE_CHECKING:
    from collections.abc import Callable

TIME_LIMIT = 20.0
PAUSE = 0.4
"""Seconds between two changes."""
ROUNDS = 3
STACK = f"""
services:
  w:
    image: {IMAGE}
    init: true
    command: sh -c 'until [ -e /app/program ]; do sleep 0.01; done; cat /app/program > /running; exec sleep 1000'
    stop_signal: SIGKILL
    develop:
      watch:
        - {{path: ./page, action: sync, target: /page, initial_sync: true}}
        - {{path: ./app, action: sync+restart, target: /app, initial_sync: true}}
"""
VISIBLE = "file written until visible in the container"
RESTARTED = "file written until its process is restarted"


def scenario(contender: Contender, folder: Path, runs: int) -> dict[str, list[float]]:
    """Seconds of `runs` changes of each kind; `folder` is empty."""
    (folder / "compose.yaml").write_text(STACK)
    for name in ("page/file", "app/program"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("0\n")
    contender.run(folder, "up", "-d")
    watching = subprocess.Popen(
        [*contender.command, "watch", "--no-up"],
        cwd=folder, env=contender.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait(lambda: _read(contender.init(folder.name), "running") == "0\n")
        return {
            VISIBLE: _times(contender, folder / "page/file", "page/file", runs),
            RESTARTED: _times(contender, folder / "app/program", "running", runs),
        }
    finally:
        watching.send_signal(signal.SIGINT)
        watching.wait()
        contender.run(folder, "down", "-t", "1")


def _times(contender: Contender, file: Path, inside: str, runs: int) -> list[float]:
    times = []
    for number in range(1, runs + 1):
        time.sleep(PAUSE)
        pid = contender.init(file.parents[1].name)
        began = time.perf_counter()
        file.write_text(f"{number}\n")
        while _read(pid, inside) != f"{number}\n":
            time.sleep(POLL)
            if not Path(f"/proc/{pid}/root/.").exists():
                pid = contender.init(file.parents[1].name)
            if time.perf_counter() - began > TIME_LIMIT:
                raise SystemExit(f"{contender.name}: {file.name} never arrived")
        times.append(time.perf_counter() - began)
    return times


def _read(pid: int, inside: str) -> str:
    try:
        return Path(f"/proc/{pid}/root/{inside}").read_text()
    except OSError:
        return ""


def _wait(check: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIME_LIMIT
    while not check():
        if time.monotonic() > deadline:
            raise SystemExit("the stack did not come up")
        time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--without-docker", action="store_true")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="pyc-bench-"))
    contenders = [ours(root)]
    if not options.without_docker:
        contenders.append(docker(root))
    figures: dict[str, dict[str, list[float]]] = {VISIBLE: {}, RESTARTED: {}}
    try:
        for turn in range(ROUNDS):
            for contender in contenders:
                folder = root / f"watch{os.getpid()}n{turn}{contender.name}"
                folder.mkdir()
                for figure, seconds in scenario(contender, folder, options.runs).items():
                    figures[figure].setdefault(contender.name, []).extend(seconds)
    finally:
        for contender in contenders:
            contender.stop()
        shutil.rmtree(root, ignore_errors=True)
    for figure, by_name in figures.items():
        medians = {name: statistics.median(times) * 1000 for name, times in by_name.items()}
        print(f"{figure:46}" + "".join(f" {name} {median:7.1f} ms" for name, median in medians.items()))


if __name__ == "__main__":
    main()

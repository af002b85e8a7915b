"""Times live reload: from writing a file until a process in the container reads it, or has been started with it.

    python benchmarks/watch.py [--runs N]

`scenario` takes a contender of benchmarks/run.py, so that both implementations can be measured with the same files:
`visible` is seen by polling the file through /proc/PID/root, `restarted` by the program's own note of its start.
"""

from __future__ import annotations

import argparse
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

POLL = 0.0005
TIME_LIMIT = 20.0
PAUSE = 0.4
"""Seconds between two changes."""


class Contender(Protocol):
    """What benchmarks/run.py calls a way to run compose commands."""

    command: list[str]
    environment: dict[str, str]

    def run(self, folder: Path, *arguments: str) -> float:
        """Seconds that the command took."""


def stack(image: str) -> str:
    """A program that copies what it was started with, and one file that is only synced."""
    return f"""
services:
  w:
    image: {image}
    init: true
    command: sh -c 'until [ -e /app/program ]; do sleep 0.01; done; cat /app/program > /running; exec sleep 1000'
    develop:
      watch:
        - {{path: ./page, action: sync, target: /page, initial_sync: true}}
        - {{path: ./app, action: sync+restart, target: /app, initial_sync: true}}
"""


def scenario(
    contender: Contender, folder: Path, image: str, init: Callable[[], int], runs: int = 10
) -> dict[str, float]:
    """Median seconds of `runs` changes each; `folder` is empty, `init` gives the pid of the container's first process."""
    (folder / "compose.yaml").write_text(stack(image))
    for name in ("page/file", "app/program"):
        (folder / name).parent.mkdir()
        (folder / name).write_text("0\n")
    contender.run(folder, "up", "-d")
    watching = subprocess.Popen(
        [*contender.command, "watch", "--no-up"],
        cwd=folder,
        env=contender.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait(lambda: _read(init(), "running") == "0\n")
        return {
            "file written until visible in the container": _median(folder / "page/file", init, "page/file", runs),
            "file written until its process is restarted": _median(folder / "app/program", init, "running", runs),
        }
    finally:
        watching.send_signal(signal.SIGINT)
        watching.wait()
        contender.run(folder, "down", "-t", "1")


def _median(file: Path, init: Callable[[], int], inside: str, runs: int) -> float:
    times = []
    for number in range(1, runs + 1):
        time.sleep(PAUSE)
        pid = init()
        began = time.perf_counter()
        file.write_text(f"{number}\n")
        while _read(pid, inside) != f"{number}\n":
            time.sleep(POLL)
            if not Path(f"/proc/{pid}/root/.").exists():
                pid = init()
            if time.perf_counter() - began > TIME_LIMIT:
                raise SystemExit(f"{file.name} never arrived")
        times.append(time.perf_counter() - began)
    return statistics.median(times)


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
    import os
    import shutil
    import tempfile

    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    from benchmarks.run import Contender as Command
    from runtime.client.http1 import request_json

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="pyc-bench-"))
    folder = root / f"watch{os.getpid()}"
    folder.mkdir()
    contender = Command(
        "pycompose",
        [sys.executable, "-m", "compose"],
        {"PYCOMPOSE_ROOT": str(root), "PYTHONPATH": str(Path(__file__).resolve().parent.parent)},
    )

    def init() -> int:
        while True:
            found = request_json(f"{root}/run/engine.sock", "GET", "/v1/containers")
            if found and found[0]["State"].get("Pid"):
                return int(found[0]["State"]["Pid"])
            time.sleep(POLL)

    try:
        for figure, seconds in scenario(contender, folder, "localhost/host", init, options.runs).items():
            print(f"{figure:46} {seconds * 1000:7.1f} ms")
    finally:
        contender.run(folder, "engine", "stop", "--containers")
        shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main()

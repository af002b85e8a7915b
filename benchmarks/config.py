"""Times `config` of a 50-service project beside Docker Compose's: nothing cached, unchanged, and in a warm process.

    python benchmarks/config.py [--runs N] [--services N] [--without-docker]

Whole commands take turns, so that noise hits both alike. The figures of a warm process are of one that has everything
imported: the load by itself, and the whole command from its arguments to the last byte of its output.
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

if TYPE_CHECKING:
    from collections.abc import Callable

AIMS = {
    "config, nothing cached": 350,
    "config, unchanged": 110,
    "warm process: load, unchanged": 5,
    "warm process: config, unchanged": 5,
    "warm process: load, changed": 90,
    "warm process: config, changed": 90,
}
"""Milliseconds."""


def project(count: int) -> str:
    """A compose file with what such files have: variables, ports, volumes, health checks, a chain of dependencies."""
    lines = ["services:"]
    for number in range(count):
        lines += [
            f"  s{number}:",
            "    image: registry.example.com/team/app:${TAG:-1.0}",
            "    command: [run, --port, '8080']",
            "    environment:",
            "      LOG_LEVEL: ${LOG_LEVEL:-info}",
            f"      NAME: s{number}",
            "      DB: postgres://db:5432/x",
            f"    ports: ['{9000 + number}:8080']",
            "    volumes:",
            f"      - data{number}:/data",
            "      - ./conf:/etc/conf:ro",
            "    healthcheck: {test: [CMD, 'true'], interval: 10s}",
            "    restart: unless-stopped",
            "    networks: [front, back]",
            "    labels: {a.b: c, tier: web}",
            "    deploy: {resources: {limits: {memory: 256m, cpus: '0.5'}}}",
        ]
        if number:
            lines.append(f"    depends_on: {{s{number - 1}: {{condition: service_healthy}}}}")
    lines += ["networks: {front: , back: }", "volumes:", *(f"  data{number}:" for number in range(count))]
    return "\n".join(lines) + "\n"


def whole(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[float, float]:
    """Milliseconds of a command, from exec to exit, and of processor time."""
    began = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env={**os.environ, **environment}, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    took = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {process.returncode}")
    return took * 1000, (usage.ru_utime + usage.ru_stime) * 1000


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of a call, and of processor time."""
    began, used = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000


class Warm:
    """A process that has everything imported, as the warm command line's server has before it forks."""

    def __init__(self, folder: Path, cache: str) -> None:
        from compose.cli.warm.server import preload
        from compose.loader.options import LoadOptions

        preload()
        self.file = folder / "compose.yaml"
        self.environ = {**os.environ, "XDG_CACHE_HOME": cache}
        self.folder = folder
        self.options = LoadOptions(cwd=str(folder), environ=self.environ, cache=f"{cache}/loads")

    def change(self) -> None:
        """Change the file."""
        with self.file.open("a", encoding="utf-8") as file:
            file.write("# changed\n")

    def load(self) -> None:
        """Load the project."""
        from compose.loader.cache import load

        load(self.options)

    def config(self) -> None:
        """Run the command `config`."""
        from compose.cli import app
        from compose.cli.console import Console

        console = Console(
            environ=self.environ, cwd=str(self.folder), stdin=io.StringIO(), stdout=io.StringIO(), stderr=sys.stderr
        )
        app.main(["config"], console)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=11)
    parser.add_argument("--services", type=int, default=50)
    parser.add_argument("--without-docker", action="store_true")
    options = parser.parse_args()
    figures: dict[str, list[tuple[float, float]]] = {}
    with tempfile.TemporaryDirectory(prefix="pyc-bench-") as root:
        folder = Path(root, "bench")
        folder.mkdir()
        (folder / "compose.yaml").write_text(project(options.services), encoding="utf-8")
        cache = str(Path(root, "cache"))
        ours = [str(Path(sys.executable).with_name("pycompose")), "config"]
        cold = {"PYCOMPOSE_WARM": "0", "PYCOMPOSE_CACHE": "0"}
        cached = {"PYCOMPOSE_WARM": "0", "XDG_CACHE_HOME": cache}
        contenders = {
            "config, nothing cached": (ours, cold),
            "config, unchanged": (ours, cached),
        }
        if not options.without_docker:
            from tests.kit.peer_compose import binary

            contenders["docker-compose config"] = ([binary(), "config"], {})
        for run in range(options.runs + 1):
            for name, (command, environment) in contenders.items():
                took = whole(command, folder, environment)
                if run:  # the first round warms caches
                    figures.setdefault(name, []).append(took)
        warm = Warm(folder, cache)
        for run in range(options.runs + 1):
            for what, work in (("load", warm.load), ("config", warm.config)):
                warm.change()
                changed, unchanged = timed(work), timed(work)
                if run:
                    figures.setdefault(f"warm process: {what}, unchanged", []).append(unchanged)
                    figures.setdefault(f"warm process: {what}, changed", []).append(changed)
    print(f"{f'{options.services} services':34} {'median':>10} {'minimum':>10} {'processor':>10} {'aim':>10}")
    for name, pairs in figures.items():
        times = [took for took, _ in pairs]
        used = statistics.median([used for _, used in pairs])
        aim = f"{AIMS[name]:7.0f} ms" if name in AIMS and options.services == 50 else ""
        print(f"{name:34} {statistics.median(times):7.1f} ms {min(times):7.1f} ms {used:7.1f} ms {aim:>10}")


if __name__ == "__main__":
    main()

"""Times pycompose against Docker Compose on this machine, in alternation, and prints medians and ratios.

    python benchmarks/run.py [--runs N] [--only NAME] [--without-docker]

Both run the same compose files from the same image. Whole commands are timed, from exec to exit; the machine's noise
hits both alike since they take turns. The engine of pycompose has a data root of its own and is stopped at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from contenders import IMAGE, Contender, Pycompose, docker, ours

if TYPE_CHECKING:
    from collections.abc import Callable


def services(count: int) -> str:
    return "services:\n" + "".join(
        f"  s{number}:\n    image: {IMAGE}\n    command: sleep 1000\n    init: false\n    stop_signal: SIGKILL\n"
        for number in range(count)
    )


def chain(count: int) -> str:
    lines = ["services:"]
    for number in range(count):
        lines += [
            f"  s{number}:", f"    image: {IMAGE}", "    command: sleep 1000", "    stop_signal: SIGKILL",
            "    healthcheck: {test: [CMD, 'true'], start_period: 20s, start_interval: 100ms}",
        ]  # fmt: skip
        if number:
            lines.append(f"    depends_on: {{s{number - 1}: {{condition: service_healthy}}}}")
    return "\n".join(lines)


class Bench:
    """Scenarios: each gives figures by name, in seconds."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.number = 0

    def project(self, text: str) -> Path:
        self.number += 1
        made = self.folder / f"bench{os.getpid()}n{self.number}"
        made.mkdir()
        (made / "compose.yaml").write_text(text)
        return made

    def up_down(self, count: int) -> Callable[[Contender], dict[str, float]]:
        def scenario(contender: Contender) -> dict[str, float]:
            project = self.project(services(count))
            figures = {f"up -d, {count} services": contender.run(project, "up", "-d")}
            figures[f"up -d again, {count} services"] = contender.run(project, "up", "-d")
            figures[f"ps, {count} services"] = contender.run(project, "ps")
            figures[f"exec true, {count} services"] = contender.run(project, "exec", "-T", "s0", "true")
            figures[f"down, {count} services"] = contender.run(project, "down")
            return figures

        return scenario

    def chain(self, contender: Contender) -> dict[str, float]:
        project = self.project(chain(10))
        figures = {"up -d, 10 in a chain, each healthy first": contender.run(project, "up", "-d")}
        contender.run(project, "down")
        return figures

    def scale(self, contender: Contender) -> dict[str, float]:
        project = self.project(services(1))
        contender.run(project, "up", "-d")
        figures = {"scale 1 to 20": contender.run(project, "scale", "s0=20")}
        figures["scale 20 to 1"] = contender.run(project, "scale", "s0=1")
        contender.run(project, "down")
        return figures


def cold_start(root: Path, folder: Path, runs: int) -> list[float]:
    """Seconds of the first `up -d` with no engine running, on a data root that has never seen one."""
    times = []
    for number in range(runs):
        fresh = root / f"cold{number}"
        fresh.mkdir()
        contender = Pycompose(fresh)
        project = folder / f"cold{os.getpid()}n{number}"
        project.mkdir()
        (project / "compose.yaml").write_text(
            "services: {a: {image: localhost/host, command: sleep 1000, stop_signal: SIGKILL}}\n"
        )
        times.append(contender.run(project, "up", "-d"))
        contender.run(project, "down")
        contender.run(project, "engine", "stop")
    return times


def memory(contender: Contender, bench: Bench, root: Path) -> dict[str, float]:
    """PSS in MB of every process of ours with 50 containers."""
    project = bench.project(services(50))
    contender.run(project, "up", "-d")
    total = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            executable = os.readlink(entry / "exe")
            command = (entry / "cmdline").read_bytes()
            text = (entry / "smaps_rollup").read_text()
        except OSError:
            continue
        if str(root).encode() in command or ("memfd" in executable and b"runtime" in command):
            total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
    contender.run(project, "down")
    return {"memory of all our processes, 50 containers (MB PSS)": total / 1024}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--without-docker", action="store_true")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="pyc-bench-"))
    folder = root / "projects"
    folder.mkdir()
    bench = Bench(folder)
    contenders = [ours(root)]
    if not options.without_docker:
        contenders.append(docker(root))
    scenarios: dict[str, Callable[[Contender], dict[str, float]]] = {
        "1": bench.up_down(1),
        "10": bench.up_down(10),
        "50": bench.up_down(50),
        "chain": bench.chain,
        "scale": bench.scale,
    }
    figures: dict[str, dict[str, list[float]]] = {}
    try:
        for name, scenario in scenarios.items():
            if options.only and name not in options.only.split(","):
                continue
            for run in range(options.runs + 1):
                for contender in contenders:
                    for figure, seconds in scenario(contender).items():
                        if run:  # the first round warms caches
                            figures.setdefault(figure, {}).setdefault(contender.name, []).append(seconds)
        extra = {} if options.only else memory(contenders[0], bench, root)
        cold = [] if options.only else cold_start(root, folder, options.runs)
        report(figures, extra, cold)
    finally:
        for contender in contenders:
            contender.stop()
        shutil.rmtree(root, ignore_errors=True)


def report(figures: dict[str, dict[str, list[float]]], extra: dict[str, float], cold: list[float]) -> None:
    print(f"{'':46} {'pycompose':>20} {'docker':>20} {'ratio':>7}")
    for figure, by_name in figures.items():
        cells = []
        for name in ("pycompose", "docker"):
            times = by_name.get(name, [])
            cells.append(f"{statistics.median(times) * 1000:7.0f} ms (min {min(times) * 1000:5.0f})" if times else "")
        ratio = ""
        if len(by_name) == 2:
            ratio = f"{statistics.median(by_name['docker']) / statistics.median(by_name['pycompose']):6.1f}x"
        print(f"{figure:46} {cells[0]:>20} {cells[1]:>20} {ratio:>7}")
    if cold:
        print(
            f"{'first up -d ever, engine cold':46} {statistics.median(cold) * 1000:7.0f} ms (min {min(cold) * 1000:5.0f})"
        )
    for figure, value in extra.items():
        print(f"{figure:46} {value:7.1f}")
    print(json.dumps({"figures": figures, "cold": cold, **extra}), file=sys.stderr)


if __name__ == "__main__":
    main()

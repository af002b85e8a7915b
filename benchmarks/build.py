"""Times image builds of pycompose and of Docker (BuildKit) on this machine, in alternation; prints medians and ratios.

    DOCKER_HOST=unix:///... PEER_COMPOSE=... python benchmarks/build.py [--runs N] [--only NAME] [--buildx PATH]

Both build the same Dockerfiles from the same base image. Whole commands are timed, from exec to exit. Docker's is the
buildx plugin run by itself, which saves it the start of the docker command. Without DOCKER_HOST only pycompose is timed.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from contenders import IMAGE, rootfs, timed

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parent.parent
PLUGIN = "usr/libexec/docker/cli-plugins/docker-buildx"
FILES = 10_000
TEN_STEPS = f"""\
FROM {IMAGE}
ENV STAGE=ten
WORKDIR /app
COPY first /app/first
RUN echo one > one
RUN echo two > two
RUN echo three > three
COPY second /app/second
RUN echo four > four
RUN echo five > five
RUN echo six > six
COPY . /app/all
CMD ["true"]
"""


class Builder:
    """One way to build: the words before the context, and the environment."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], compose: list[str]) -> None:
        self.name = name
        self.compose = compose
        """The Compose command, empty where there is none."""
        self._command = command
        self._environment = {**os.environ, **environment}

    def build(self, folder: Path, *flags: str) -> float:
        """Seconds of one build; raises if it failed."""
        return timed([*self._command, *flags, "."], folder, self._environment)

    def build_services(self, folder: Path) -> float:
        """Seconds of a build of the project's services."""
        return timed([*self.compose, "build"], folder, self._environment)


class Engine(http.client.HTTPConnection):
    """A connection to Docker's socket."""

    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=600)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def ours(root: Path, archive: Path) -> Builder:
    """pycompose with a data root of its own that holds the base image."""
    environment = {"PYCOMPOSE_ROOT": str(root), "PYTHONPATH": str(REPOSITORY)}
    command = [str(Path(sys.executable).with_name("pycompose"))]
    subprocess.run(
        [*command, "image", "import", "-q", str(archive), IMAGE],
        env={**os.environ, **environment},
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return Builder("pycompose", [*command, "image", "build", "-t", "built"], environment, command)


def docker(root: Path, archive: Path, buildx: str) -> Builder | None:
    """Docker with the same base image, if there is one."""
    path = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
    if not path:
        return None
    plugin = buildx or os.path.join(os.path.dirname(os.path.dirname(path)), PLUGIN)
    if not os.access(plugin, os.X_OK):
        plugin = shutil.which("docker-buildx") or ""
    if not plugin:
        raise SystemExit("docker: no buildx plugin; --buildx PATH names one")
    repository, _, tag = IMAGE.partition(":")
    connection = Engine(path)
    connection.request("POST", f"/images/create?fromSrc=-&repo={repository}&tag={tag}", archive.read_bytes())
    connection.getresponse().read()
    connection.close()
    environment = {"DOCKER_CONFIG": str(root / "docker"), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    compose = os.environ.get("PEER_COMPOSE", "")
    words = [plugin, "build", "-t", "pycompose-bench-built"]
    return Builder("docker", words, environment, [compose] if compose else [])


def ten_step_project(folder: Path) -> Path:
    folder.mkdir()
    for name in ("first", "second"):
        (folder / name).write_text(f"{name}\n")
    (folder / "Dockerfile").write_text(TEN_STEPS)
    (folder / "compose.yaml").write_text("services: {app: {build: .}}\n")
    return folder


def file_project(folder: Path) -> Path:
    """A context of ten thousand files, two to four kilobytes each."""
    for number in range(FILES):
        directory = folder / f"d{number % 100:02}"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"f{number}").write_bytes(f"{number} ".encode() * (400 + number % 400))
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\nCOPY . /data\nRUN ls /data/d00 > /list\n")
    return folder


def run_project(folder: Path) -> Path:
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {IMAGE}\n" + "RUN true\n" * 10)
    return folder


def unchanged(folder: Path) -> Callable[[Builder], dict[str, float]]:
    project = ten_step_project(folder / "ten")

    def scenario(builder: Builder) -> dict[str, float]:
        figures = {"rebuild of ten steps, nothing changed": builder.build(project)}
        if builder.compose:
            figures["the same by compose build"] = builder.build_services(project)
        return figures

    return scenario


def one_file(folder: Path) -> Callable[[Builder], dict[str, float]]:
    project = file_project(folder / "files")

    def scenario(builder: Builder) -> dict[str, float]:
        (project / "d42" / "f42").write_text(f"changed at {time.time_ns()}\n")
        return {"one file of ten thousand changed": builder.build(project)}

    return scenario


def ten_runs(folder: Path) -> Callable[[Builder], dict[str, float]]:
    project = run_project(folder / "runs")
    return lambda builder: {"ten times RUN true, no cache": builder.build(project, "--no-cache")}


def first_files(folder: Path) -> Callable[[Builder], dict[str, float]]:
    project = file_project(folder / "fresh")
    return lambda builder: {"ten thousand files, no cache": builder.build(project, "--no-cache")}


SCENARIOS = {"unchanged": unchanged, "file": one_file, "runs": ten_runs, "fresh": first_files}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", default="", help=", ".join(SCENARIOS))
    parser.add_argument("--buildx", default="")
    options = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="pyc-bench-"))
    figures: dict[str, dict[str, list[float]]] = {}
    try:
        archive = root / "base.tar"
        archive.write_bytes(rootfs())
        builders = [found for found in (ours(root, archive), docker(root, archive, options.buildx)) if found]
        for name, make in SCENARIOS.items():
            if options.only and name not in options.only.split(","):
                continue
            scenario = make(root)
            for run in range(options.runs + 1):
                for builder in builders:
                    for figure, seconds in scenario(builder).items():
                        if run:  # the first round fills the caches
                            figures.setdefault(figure, {}).setdefault(builder.name, []).append(seconds)
        report(figures)
    finally:
        environment = {**os.environ, "PYCOMPOSE_ROOT": str(root), "PYTHONPATH": str(REPOSITORY)}
        subprocess.run([sys.executable, "-m", "compose", "engine", "stop"], env=environment, check=False)
        shutil.rmtree(root, ignore_errors=True)


def report(figures: dict[str, dict[str, list[float]]]) -> None:
    print(f"{'':40} {'pycompose':>22} {'docker':>22} {'ratio':>7}")
    for figure, by_name in figures.items():
        cells = [_cell(by_name.get(name, [])) for name in ("pycompose", "docker")]
        medians = {name: statistics.median(times) for name, times in by_name.items()}
        ratio = f"{medians['docker'] / medians['pycompose']:6.1f}x" if len(medians) == 2 else ""
        print(f"{figure:40} {cells[0]:>22} {cells[1]:>22} {ratio:>7}")
    print(json.dumps(figures), file=sys.stderr)


def _cell(times: list[float]) -> str:
    return f"{statistics.median(times) * 1000:6.0f} ms (min {min(times) * 1000:5.0f})" if times else ""


if __name__ == "__main__":
    main()

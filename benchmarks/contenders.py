"""The two ways to run the same compose files that benchmarks compare, and the image both run them from."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any
from urllib.parse import quote

REPOSITORY = Path(__file__).resolve().parent.parent
RIG = str(REPOSITORY / "tests/rigs/docker")
IMAGE = "bench:latest"
POLL = 0.0005
"""Seconds between two looks at what is being waited for."""


def timed(command: list[str], folder: Path, environment: dict[str, str]) -> float:
    """Seconds from exec to exit; raises SystemExit with what it said if it failed."""
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stderr}")
    return took


class Contender(ABC):
    """One way to run compose commands."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        self.name = name
        self.command = command
        self.environment = {**os.environ, **environment}

    def run(self, folder: Path, *arguments: str) -> float:
        """Seconds that the command took; raises if it failed."""
        return timed([*self.command, *arguments], folder, self.environment)

    def init(self, project: str) -> int:
        """The pid, on this machine, of the first process of the project's only running container; waits for it."""
        while True:
            pids = [pid for pid in self.init_pids(f"com.docker.compose.project={project}") if pid]
            if pids:
                return pids[0]
            time.sleep(POLL)

    @abstractmethod
    def init_pids(self, label: str) -> list[int]:
        """Those of all running containers with the label."""

    @abstractmethod
    def stop(self) -> None:
        """End its engine."""

    def api(self, socket: str, path: str) -> Any:
        """The answer of an engine's HTTP API."""
        done = subprocess.run(
            ["curl", "-sS", "--unix-socket", socket, f"http://engine{path}"], capture_output=True, check=True
        )
        return json.loads(done.stdout)


class Pycompose(Contender):
    """This project, with a data root of its own."""

    def __init__(self, root: Path) -> None:
        super().__init__("pycompose", [str(Path(sys.executable).with_name("pycompose"))], {"PYCOMPOSE_ROOT": str(root)})
        self.socket = f"{root}/run/engine.sock"

    def init_pids(self, label: str) -> list[int]:
        found = self.api(self.socket, f"/v1/containers?label={quote(label)}")
        return [container["State"]["Pid"] for container in found]

    def stop(self) -> None:
        subprocess.run([*self.command, "engine", "stop", "--containers"], env=self.environment, check=False)


class Docker(Contender):
    """Docker Compose with the reference engine of tests/rigs."""

    def __init__(self, compose: str, host: str, *, found: bool) -> None:
        super().__init__("docker", [compose], {"DOCKER_HOST": host})
        self.socket = host.removeprefix("unix://")
        self.found = found
        """It ran before and is somebody else's."""

    def init_pids(self, label: str) -> list[int]:
        filters = quote(json.dumps({"label": [label]}))
        running = self.api(self.socket, f"/containers/json?filters={filters}")
        return [self.api(self.socket, f"/containers/{item['Id']}/json")["State"]["Pid"] for item in running]

    def stop(self) -> None:
        if not self.found:
            subprocess.run([RIG, "stop"], check=False)


def rootfs() -> bytes:
    """A tar of a root file system with a static busybox."""
    busybox = shutil.which("busybox")
    if busybox is None:
        raise SystemExit("benchmarks need busybox: apt-get install busybox-static")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for folder in ("bin", "etc", "tmp", "proc", "sys", "dev", "var", "root"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        archive.add(busybox, "bin/busybox")
        for applet in ("sh", "sleep", "cat", "true", "echo", "seq", "test", "ls"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            archive.addfile(entry)
        for name, text in (("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"), ("etc/group", "root:x:0:\n")):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def ours(root: Path) -> Contender:
    contender = Pycompose(root)
    archive = root / "bench.tar"
    archive.write_bytes(rootfs())
    contender.run(root, "image", "import", str(archive), IMAGE)
    return contender


def docker(root: Path) -> Contender:
    """The reference engine of tests/rigs, started here unless it runs."""
    found = subprocess.run([RIG, "status"], check=False).returncode == 0
    output = subprocess.run([RIG, "start"], capture_output=True, text=True, check=True).stdout
    variables = dict(line.removeprefix("export ").split("=", 1) for line in output.splitlines())
    archive = root / "bench-docker.tar"
    archive.write_bytes(rootfs())
    subprocess.run(
        ["curl", "-fsS", "--unix-socket", variables["DOCKER_HOST"].removeprefix("unix://"), "-X", "POST",
         "-H", "Content-Type: application/x-tar", "-T", str(archive),
         "http://docker/images/create?fromSrc=-&repo=bench&tag=latest"],
        check=True, capture_output=True,
    )  # fmt: skip
    return Docker(variables["PEER_COMPOSE"], variables["DOCKER_HOST"], found=found)

"""Projects that are done things to: what their file says now, and what must therefore be there after `up -d`."""

from __future__ import annotations

import os
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runtime.errors import Unavailable
from tests.kit.stack import Stack, free_port

if TYPE_CHECKING:
    import random
    from pathlib import Path

FILE = """
    services:
      web:
        image: localhost/host
        command: python3 -m http.server 8000 --directory /usr/share/doc
        init: true
        restart: always
        environment: {{EDITION: "{edition}"}}
        ports: ["{port}:8000"]
        networks: [front, back]
        healthcheck: {{test: "test ! -e /tmp/sick", interval: 300ms, retries: 1, start_period: 100ms}}
        scale: {web}
      client:
        image: localhost/host
        command: sleep 100000
        init: true
        restart: unless-stopped
        networks: [back]
        depends_on: [web]
        develop: {{watch: [{{path: ./watched, target: /watched, action: sync}}]}}
      talker:
        image: localhost/host
        command: sh -c 'trap "exit 0" TERM; n=0; while :; do n=$$((n+1)); echo line $$n; sleep 0.1; done'
        restart: always
        stop_grace_period: 2s
        networks: [front]
        volumes: ["kept:/kept"]
        scale: {talker}
    networks: {{front: {{}}, back: {{}}}}
    volumes: {{kept: {{}}}}
"""
COMPLAINTS = ("Traceback", "pycompose: unexpected")
TIMEOUT = 90.0
ENGINE_TIMEOUT = 20.0


@dataclass
class Project(Stack):
    """One project of several that share an engine."""

    port: int = field(default_factory=free_port)
    edition: int = 0
    scale: dict[str, int] = field(default_factory=lambda: {"web": 1, "talker": 1})

    @property
    def folder(self) -> Path:
        return self.root / self.project

    def save(self) -> None:
        """Write the file as things shall be."""
        self.compose(FILE.format(port=self.port, edition=self.edition, **self.scale))
        self.write("watched/file", "")

    def wanted(self) -> set[str]:
        """Names that `up` gives, as far as they are known: by service and count, for numbers may have gaps."""
        return {f"{name}x{count}" for name, count in {**self.scale, "client": 1}.items()}

    def api(self, path: str) -> Any:
        """GET of the engine's API; one that was killed is back within seconds."""
        deadline = time.monotonic() + ENGINE_TIMEOUT
        while True:
            try:
                return super().api(path)
            except (OSError, Unavailable):
                if time.monotonic() > deadline:
                    raise AssertionError(f"no engine answers within {ENGINE_TIMEOUT:g} s\n{self.log()}") from None
                time.sleep(0.05)

    def found(self) -> list[dict[str, Any]]:
        """The engine's view of all containers of the project."""
        found: list[dict[str, Any]] = self.api(f"/v1/containers?all=1&label=com.docker.compose.project={self.project}")
        return found

    def of(self, service: str) -> list[dict[str, Any]]:
        """Running containers of a service."""
        return [
            each
            for each in self.found()
            if each["Config"]["Labels"]["com.docker.compose.service"] == service and each["State"]["Running"]
        ]

    def do(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> subprocess.CompletedProcess[str]:
        """Run a command whose end must be one of `codes`, without a fault of ours in what it says."""
        called = f"{self.project}: pycompose {' '.join(arguments)}"
        try:
            done = subprocess.run(
                [*self.program, *arguments],
                cwd=self.folder,
                env=self.environ(),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"{called}: not within {TIMEOUT:g} s\n{late.stdout}{late.stderr}") from None
        shown = f"{called}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        assert not any(word in done.stderr for word in COMPLAINTS), shown
        assert not codes or done.returncode in codes, shown
        return done


def make(root: Path, count: int) -> list[Project]:
    """Projects in one data root; none of them is up."""
    projects = [
        Project(root=root, project=f"soak{number}", environment={"PYCOMPOSE_WARM": "1"}) for number in range(count)
    ]
    for project in projects:
        project.folder.mkdir(parents=True, exist_ok=True)
        project.save()
    return projects


def one_of(chance: random.Random, items: list[dict[str, Any]]) -> dict[str, Any] | None:
    """One of the containers, or None if there is none."""
    return chance.choice(sorted(items, key=lambda each: str(each["Name"]))) if items else None


def signal_process(pid: int, number: int) -> None:
    """Signal a process that may be gone already."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return

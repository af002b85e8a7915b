"""A project directory and an engine of its own, driven through the command line as a user would."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any

from tests.kit import machine

if TYPE_CHECKING:
    from collections.abc import Callable

REPOSITORY = Path(__file__).resolve().parents[2]
COMMAND_TIMEOUT = 60.0


def poll(check: Callable[[], Any], timeout: float = 15.0, what: str = "") -> Any:
    """The first true result of `check`; fails after `timeout` seconds naming `what` and the last result."""
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what or check}; last: {result!r}")
        time.sleep(0.02)


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """A port that was free a moment ago."""
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass
class Stack:
    """One engine root with a project in it."""

    root: Path
    project: str
    environment: dict[str, str] = field(default_factory=dict)
    program: tuple[str, ...] = (sys.executable, "-m", "compose")
    """What `pycompose` is."""

    is_peer = False
    """Whether it is the real Docker Compose, see tests/kit/peer.py."""

    @property
    def folder(self) -> Path:
        return self.root / "project"

    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": str(REPOSITORY),
            "PYCOMPOSE_ROOT": str(self.root),
            "COMPOSE_PROJECT_NAME": self.project,
            "PYCOMPOSE_WARM": "0",
            **self.environment,
        }

    def write(self, name: str, text: str) -> Path:
        """A file of the project, its text without common indentation."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
        return path

    def compose(self, text: str) -> None:
        self.write("compose.yaml", text)

    def run(
        self, *arguments: str, ok: bool = True, stdin: str | None = None, timeout: float = COMMAND_TIMEOUT
    ) -> Result:
        """`pycompose ARGUMENTS` in the project; fails on a non-zero exit code unless `ok` is false."""
        self.folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            [*self.program, *arguments],
            cwd=self.folder,
            env=self.environ(),
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        result = Result(done.returncode, done.stdout, done.stderr)
        assert "pycompose: unexpected" not in result.err, result.err
        if ok:
            assert result.code == 0, (
                f"pycompose {' '.join(arguments)}: exit {result.code}\n{result.out}\n{result.err}\n{self.log()}"
            )
        return result

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """`pycompose ARGUMENTS` in the background."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return subprocess.Popen(
            [*self.program, *arguments],
            cwd=self.folder,
            env=self.environ(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    # --- what there is -------------------------------------------------------------------------------------------

    def ps(self, *arguments: str) -> list[dict[str, Any]]:
        """`ps --format json`, with stopped ones."""
        out = self.run("ps", "-a", "--format", "json", *arguments).out
        return [json.loads(line) for line in out.splitlines()]

    def states(self) -> dict[str, str]:
        """Name without the project's prefix → state."""
        return {row["Name"].removeprefix(f"{self.project}-"): row["State"] for row in self.ps()}

    def api(self, path: str) -> Any:
        """GET of the engine's API."""
        from runtime.client.http1 import request_json

        return request_json(f"{self.root}/run/engine.sock", "GET", path)

    def inspect(self, name: str) -> dict[str, Any]:
        """A container as the engine knows it; `name` without the project's prefix."""
        wanted = f"/{self.project}-{name}"
        return next(item for item in self.api("/v1/containers?all=1") if item["Name"] == wanted)

    def containers(self) -> list[str]:
        """Names of the project's containers, running or not, without its prefix."""
        found = self.api(f"/v1/containers?all=1&label=com.docker.compose.project={self.project}")
        return sorted(each["Name"].removeprefix(f"/{self.project}-") for each in found)

    def networks(self) -> list[str]:
        """Names of the project's networks."""
        return self._of_project("Networks")

    def volumes(self) -> list[str]:
        """Names of the project's volumes."""
        return self._of_project("Volumes")

    def _of_project(self, kind: str) -> list[str]:
        label = "com.docker.compose.project"
        return sorted(
            each["Name"] for each in self.api("/v1/snapshot")[kind] if (each["Labels"] or {}).get(label) == self.project
        )

    def exec(self, service: str, *command: str, **options: Any) -> Result:
        return self.run("exec", "-T", service, *command, **options)

    def status(self) -> dict[str, Any]:
        return dict(self.api("/v1/status"))

    def http(self, port: int, host: str = "127.0.0.1", path: str = "/") -> str:
        """A page, on a connection of its own."""
        name = f"[{host}]" if ":" in host else host
        with urllib.request.urlopen(f"http://{name}:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())

    def engine_id(self) -> str:
        path = self.root / "data" / "engine-id"
        return path.read_text().strip() if path.exists() else ""

    def log(self) -> str:
        """The end of the engine's log, for messages of failed tests."""
        path = self.root / "data" / "engine.log"
        return path.read_text()[-6000:] if path.exists() else ""

    # --- the end -------------------------------------------------------------------------------------------------

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop everything and show that nothing is left on the machine."""
        engine_id = self.engine_id()
        if not engine_id:
            return
        self.run("engine", "stop", "--containers", ok=False)
        try:
            poll(lambda: not machine.leftovers(engine_id, str(self.root)), 15, "the machine is clean")
        except AssertionError:
            left = machine.leftovers(engine_id, str(self.root))
            for line in left.get("processes", []):
                self.kill(int(line.split()[0]))
            raise AssertionError(f"left behind: {left}\n{self.log()}") from None

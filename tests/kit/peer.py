"""The real Docker Compose in the place of pycompose: a Stack that drives it, for the scenarios that are marked `both`.

PYCOMPOSE_TEST_PEER=1 is the switch. The engine is that of tests/rigs/docker, which lives in a root of its own and sees
of this machine's files only /dev: so projects lie in /dev/shm, where a bind mount means the same to both.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runtime.client.http1 import request_json
from runtime.errors import EngineError
from tests.kit import debian
from tests.kit.stack import REPOSITORY, Stack

SWITCH = "PYCOMPOSE_TEST_PEER"
RIG = REPOSITORY / "tests" / "rigs" / "docker"
IMAGE = "pycompose-test/debian"
"""What stands for `localhost/host` on the other side: the Debian root file system of tests/kit/debian.py."""
INSTALL_TIMEOUT = 600.0
SHARED = "/dev/shm"


def is_chosen() -> bool:
    """Whether scenarios are to run against Docker Compose."""
    return os.environ.get(SWITCH, "") not in ("", "0")


@cache
def start() -> dict[str, str]:
    """The engine runs and has the image: DOCKER_HOST and PEER_COMPOSE. Installed when first used."""
    debian.cache().mkdir(parents=True, exist_ok=True)
    with open(debian.cache() / "peer.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(
            ["bash", str(RIG), "start"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        lines = [line.removeprefix("export ").split("=", 1) for line in done.stdout.splitlines()]
        found = {name: value.strip('"') for name, value in lines}
        if not _has_image(found):
            _import_image(found, debian.root_archive(_say))
        return found


def stack() -> PeerStack:
    """A project of its own for Docker Compose."""
    found = start()
    root = Path(tempfile.mkdtemp(prefix="pyc-", dir=SHARED))
    return PeerStack(root=root, project=f"t{secrets.token_hex(3)}", program=(found["PEER_COMPOSE"],), peer=found)


@dataclass
class PeerStack(Stack):
    """`docker compose` where a Stack has `pycompose`; what is asked of the engine is asked of Docker's API."""

    peer: dict[str, str] = field(default_factory=dict)

    is_peer = True

    def environ(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return {
            **kept,
            "DOCKER_HOST": self.peer["DOCKER_HOST"],
            "COMPOSE_PROJECT_NAME": self.project,
            **self.environment,
        }

    def write(self, name: str, text: str) -> Path:
        return super().write(name, text.replace("localhost/host", IMAGE) if name.endswith(".yaml") else text)

    def api(self, path: str) -> Any:
        """GET of Docker's API."""
        return request_json(_socket(self.peer), "GET", path)

    def inspect(self, name: str) -> dict[str, Any]:
        return dict(self.api(f"/containers/{self.project}-{name}/json"))

    def containers(self) -> list[str]:
        found = self._labelled("/containers/json?all=1")
        return sorted(each["Names"][0].removeprefix("/").removeprefix(f"{self.project}-") for each in found)

    def networks(self) -> list[str]:
        return sorted(each["Name"] for each in self._labelled("/networks?"))

    def volumes(self) -> list[str]:
        found = self.api(f"/volumes?filters={self._filter()}")
        return sorted(each["Name"] for each in found["Volumes"] or ())

    def close(self) -> None:
        """Take the project down and show that nothing of it is left."""
        self.run("down", "-v", "--remove-orphans", "-t", "0", ok=False)
        left = [*self.containers(), *self.networks(), *self.volumes()]
        shutil.rmtree(self.root, ignore_errors=True)
        assert not left, f"left behind: {left}"

    def _labelled(self, path: str) -> list[dict[str, Any]]:
        return list(self.api(f"{path}&filters={self._filter()}"))

    def _filter(self) -> str:
        return quote(json.dumps({"label": [f"com.docker.compose.project={self.project}"]}))


def _say(text: str) -> None:
    print(f"\n{text}", file=sys.stderr, flush=True)


def _socket(peer: dict[str, str]) -> str:
    return peer["DOCKER_HOST"].removeprefix("unix://")


def _has_image(peer: dict[str, str]) -> bool:
    try:
        request_json(_socket(peer), "GET", f"/images/{IMAGE}/json")
    except EngineError:
        return False
    return True


def _import_image(peer: dict[str, str], archive: Path) -> None:
    url = f"http://docker/images/create?fromSrc=-&repo={IMAGE}&tag=latest"
    command = ["curl", "-fsS", "--unix-socket", _socket(peer), "-X", "POST", "-T", str(archive), url]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=INSTALL_TIMEOUT)

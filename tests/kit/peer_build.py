"""The reference builder: BuildKit of a Docker engine, driven by buildx; images are named by id only, and removed.

DOCKER_HOST names the engine; PEER_BUILDX the client plugin, which is also looked for in the engine's own root and in PATH.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from typing import Any

PLUGIN = "usr/libexec/docker/cli-plugins/docker-buildx"
MARK = "pycompose.test.build"
_ERROR = re.compile(r"^ERROR: (?:failed to (?:build|solve): )*(.*)", re.MULTILINE | re.DOTALL)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("docker", timeout=60)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def engine() -> str | None:
    """The engine's socket, None if there is none."""
    path = os.environ.get("DOCKER_HOST", "").removeprefix("unix://")
    return path if path and os.path.exists(path) else None


def buildx() -> str | None:
    """The plugin, None if there is none."""
    beside = os.path.join(os.path.dirname(os.path.dirname(engine() or "")), PLUGIN)
    for path in (os.environ.get("PEER_BUILDX", ""), beside, shutil.which("docker-buildx") or ""):
        if path and os.access(path, os.X_OK):
            return path
    return None


def ask(method: str, path: str) -> Any:
    """The engine's answer as JSON."""
    connection = _Connection(engine() or "")
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return json.loads(answer.read() or b"null")
    finally:
        connection.close()


def build(dockerfile: str | bytes, *flags: str) -> dict[str, Any]:
    """`{"config": …}` of the image that a Dockerfile without context makes, or `{"error": text}`."""
    with tempfile.TemporaryDirectory() as home:
        written = os.path.join(home, "id")
        # Two builds of one configuration are one image, and the first to end would remove it under the other.
        label = f"--label={MARK}={os.path.basename(home)}"
        command = [buildx() or "", "build", "--no-cache", "--progress=plain", label, "--iidfile", written, *flags, "-"]
        environment = {**os.environ, "BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "DOCKER_CONFIG": home, "HOME": home}
        given = dockerfile.encode() if isinstance(dockerfile, str) else dockerfile
        done = subprocess.run(command, input=given, capture_output=True, env=environment, timeout=60, check=False)
        if done.returncode:
            text = done.stderr.decode("utf-8", "replace")
            found = _ERROR.search(text)
            return {"error": (found[1] if found else text).strip()}
        with open(written, encoding="ascii") as file:
            identity = file.read().strip()
    try:
        config = ask("GET", f"/images/{identity}/json")["Config"]
        del config["Labels"][MARK]
        return {"config": config}
    finally:
        ask("DELETE", f"/images/{identity}?force=1")

"""Bundles for the OCI runtime: a root file system made of this machine's /usr, bound read-only, and a spec to change."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from runtime.oci import capabilities, defaults

_DRIVER = Path(__file__).with_name("ocidriver.py")
NAMESPACES = ("pid", "network", "ipc", "uts", "mount")
PATH = "PATH=/usr/bin:/bin"


def make_rootfs(root: Path) -> Path:
    """A directory with links into /usr, an /etc with two users, and nothing else."""
    (root / "etc").mkdir(parents=True)
    root.chmod(0o755)
    for name in ("bin", "sbin", "lib", "lib64"):
        if os.path.islink(f"/{name}"):
            (root / name).symlink_to(os.readlink(f"/{name}"))
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\napp:x:2000:10::/home/app:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\nwheel:x:10:\nextra:x:3000:app\n")
    return root


def usr() -> dict[str, Any]:
    return {"destination": "/usr", "type": "bind", "source": "/usr", "options": ["rbind", "ro"]}


def make_spec(*args: str, **process: Any) -> dict[str, Any]:
    """A spec with Docker's posture, without a seccomp filter; keyword arguments go into `process`."""
    return {
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "hostname": "box",
        "process": {
            "args": list(args),
            "env": [PATH],
            "cwd": "/",
            "x-user": "",
            "capabilities": capabilities.sets(capabilities.DEFAULT),
            **process,
        },
        "mounts": [*defaults.mounts(), usr()],
        "linux": {
            "namespaces": [{"type": kind} for kind in NAMESPACES],
            "maskedPaths": list(defaults.MASKED_PATHS),
            "readonlyPaths": list(defaults.READONLY_PATHS),
        },
    }


def shell(text: str, **process: Any) -> dict[str, Any]:
    return make_spec("/bin/sh", "-c", text, **process)


class Bundle:
    """A directory with `rootfs`; `run` starts a container in a process of its own and returns what came of it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.rootfs = make_rootfs(directory / "rootfs")

    def run(self, spec: dict[str, Any], **request: Any) -> dict[str, Any]:
        """The driver's answer: `stdout`, `stderr`, `exit_code`, `execs`, or `error`."""
        return self.run_often(spec, **request)[-1]

    def run_often(self, spec: dict[str, Any], *, below: tuple[str, ...] = (), **request: Any) -> list[dict[str, Any]]:
        """The answers of `repeat` containers in a row, the driver started by the command `below`."""
        text = json.dumps({"spec": spec, "bundle": str(self.directory), **request})
        done = subprocess.run(
            [*below, sys.executable, "-I", "-S", str(_DRIVER)],
            input=text,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        answers: list[dict[str, Any]] = json.loads(done.stdout)
        return answers

    def output(self, spec: dict[str, Any], **request: Any) -> str:
        """Standard output of a container that has to succeed."""
        answer = self.run(spec, **request)
        assert answer.get("exit_code") == 0, answer
        text: str = answer["stdout"]
        return text

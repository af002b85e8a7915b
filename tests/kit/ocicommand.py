"""The OCI command line as a test uses it: one command a verb, a state directory and a cgroup of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from tests.kit.ocibundle import Bundle


class Command:
    """`python -m runtime.oci` with a state directory of its own."""

    def __init__(self, root: Path, bundle: Bundle) -> None:
        self.root = root
        self.bundle = bundle
        self.cgroup = f"pycompose-test-{os.getpid()}/{root.parent.name}"

    def words(self, *words: str) -> list[str]:
        """The command line of a verb."""
        return [sys.executable, "-m", "runtime.oci", "--root", str(self.root), *words]

    def __call__(self, *words: str, ok: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.words(*words),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            **more,
        )
        assert not ok or done.returncode == 0, done.stderr
        return done

    def configure(self, spec: dict[str, Any]) -> None:
        spec["linux"]["cgroupsPath"] = f"/{self.cgroup}"
        (self.bundle.directory / "config.json").write_text(json.dumps(spec))

    def create(
        self, spec: dict[str, Any], *options: str, third: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """`third` is opened as descriptor 3 of the command, by a shell: the number may be in use here."""
        self.configure(spec)
        words = self.words("create", "--bundle", str(self.bundle.directory), *options, "box")
        if third is not None:
            words = ["sh", "-c", 'exec 3< "$0"; exec "$@"', str(third), *words]
        # its output would keep our pipe open as long as the container lives
        with (self.root.parent / "output").open("w") as output:
            return subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=30,
                check=False,
                text=True,
            )

    def start(self, spec: dict[str, Any], *options: str) -> dict[str, Any]:
        """Create and start; the state."""
        done = self.create(spec, *options)
        assert done.returncode == 0, self.output()
        self("start", "box")
        return self.state()

    def output(self) -> str:
        return (self.root.parent / "output").read_text()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self("state", "box").stdout)
        return found

    def wait(self, status: str) -> None:
        deadline = time.monotonic() + 10
        while self.state()["status"] != status:
            assert time.monotonic() < deadline
            time.sleep(0.02)

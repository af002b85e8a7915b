"""A machine that can lose its power: processes, network, mounts and boot id of its own, in namespaces.

All of it goes at once when the first process of its pid namespace is killed, as with a machine; what stays is what the
caller keeps on disk. The boot id is a file over the kernel's own, so that nothing of the product need know of tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tests.kit.machine import cgroup_directories
from tests.kit.stack import Stack, poll

if TYPE_CHECKING:
    from collections.abc import Iterator

BOOT_ID = "/proc/sys/kernel/random/boot_id"
_FIRST_PROCESS = r"""
mount --make-rprivate /
mount --bind "$1" /proc/sys/kernel/random/boot_id
ip link set lo up
echo ready
while :; do sleep 1000 & wait; done
"""


@dataclass
class Machine:
    """Off until `boot`; `power_cut` is not announced to anything that runs."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    pid: int = 0

    def boot(self) -> None:
        """Start it under a boot id that it never had."""
        assert self.process is None
        boot_id = self.folder / "boot_id"
        boot_id.write_text(f"{uuid.uuid4()}\n")
        arguments = ["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
        self.process = subprocess.Popen(
            ["unshare", *arguments, "sh", "-euc", _FIRST_PROCESS, "init", str(boot_id)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        self.pid = int(children)

    def power_cut(self, engine_id: str = "") -> None:
        """End every process of it, and with them its network and mounts."""
        if self.process is None:
            return
        os.kill(self.pid, 9)
        for folder in _cgroups(engine_id) if engine_id else ():
            # What is frozen dies only when it is thawed.
            if (folder / "freezer.state").exists():
                (folder / "freezer.state").write_text("THAWED")
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None

    def enter(self, folder: Path) -> tuple[str, ...]:
        """What a command line begins with to run in it, in `folder`."""
        return ("nsenter", "--target", str(self.pid), "--mount", "--net", "--pid", f"--wdns={folder}")


@dataclass
class BootedStack(Stack):
    """A stack on a machine of its own."""

    machine: Machine = field(default_factory=lambda: Machine(Path()))

    def boot(self) -> None:
        """Also after a power cut: with /run and cgroups empty, as a machine finds them."""
        self.machine.boot()
        self.program = (*self.machine.enter(self.folder), sys.executable, "-m", "compose")

    def power_cut(self, *, forget_run: bool = True) -> None:
        """End everything that runs; the runtime directory is on disk, so that it may stay with what is stale in it."""
        self.machine.power_cut(self.engine_id())
        if forget_run:
            shutil.rmtree(self.root / "run", ignore_errors=True)
        for folder in _cgroups(self.engine_id()):
            poll(lambda folder=folder: _removed(folder), what=f"{folder} can be removed")


def _cgroups(engine_id: str) -> Iterator[Path]:
    for path in cgroup_directories(f"pycompose/{engine_id}"):
        yield from sorted((item for item in path.rglob("*") if item.is_dir()), reverse=True)
        yield path


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True

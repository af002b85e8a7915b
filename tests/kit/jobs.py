"""The worker processes of a stack's engine, by the job they do: children of its template, named after the job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.kit.stack import Stack

_COMM: Final = 15
"""Bytes of a process's name that the kernel keeps."""


def jobs(stack: Stack, name: str) -> list[int]:
    """Pids of the workers that do the job `name` now."""
    templates = _children(int(stack.status()["Pid"]))
    return [pid for template in templates for pid in _children(template) if _comm(pid) == name[:_COMM]]


def leftovers(stack: Stack) -> list[str]:
    """Mounts below the data root, and what lies in the working places of the image store."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file if f" {stack.root}/data/" in line]
    images = stack.root / "data" / "images"
    return [*mounts, *(str(path) for name in ("tmp", "partial") for path in (images / name).glob("*"))]


def _children(pid: int) -> list[int]:
    return [int(each) for path in Path(f"/proc/{pid}/task").glob("*/children") for each in path.read_text().split()]


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""

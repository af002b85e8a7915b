"""Ask the runtime's own program what an engine has made, or have it all removed: no engine is needed for either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import runtime
from runtime.client import http1
from runtime.errors import EngineError, SystemFailure, from_wire
from runtime.wire import unixsocket

if TYPE_CHECKING:
    from runtime.paths import Paths

PATIENCE = 3.0


def answers(paths: Paths, patience: float = PATIENCE) -> bool:
    """Whether an engine answers within `patience` seconds: one that hangs is as good as none here."""
    try:
        with unixsocket.connect(paths.engine_socket, timeout=patience) as sock:
            return http1.request(sock, "GET", "/v1/version").status == 200
    except (OSError, EngineError):
        return False


def inventory(paths: Paths) -> dict[str, Any]:
    """Everything of the engine at `paths`; see runtime.reset.inventory. Raises the EngineError it is refused with."""
    return _run(paths, "list")


def remove(paths: Paths) -> list[str]:
    """Remove it all, with the processes that still run; what could not be removed, one line each."""
    return list(_run(paths, "remove")["problems"])


def _run(paths: Paths, verb: str) -> dict[str, Any]:
    package = os.path.dirname(os.path.dirname(os.path.abspath(runtime.__file__ or "")))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "runtime.reset", verb, "--root", paths.root, "--run", paths.run],
        env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": package},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["no output"])[-1]
        raise SystemFailure(f"reset {verb}: ended with status {done.returncode}: {last}") from None
    if "error" in answer:
        raise from_wire(answer["error"])
    return answer

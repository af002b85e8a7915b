"""How a container ended, on disk before anybody is told: no exit code is ever invented.

The boot id beside it tells a reader after a reboot that the record is of an earlier life of the machine.
"""

from __future__ import annotations

import os
from typing import Any

from runtime.linux import atomicfile, procfs


def exited(status: int, *, oom: bool, at: str) -> dict[str, Any]:
    """The `exited` message of a wait status: exit code as a shell has it (128 + signal) and the signal, 0 for none."""
    signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return {"type": "exited", "exit_code": exit_code(status), "signal": signal, "oom": oom, "at": at}


def exit_code(status: int) -> int:
    """A wait status as a shell has it."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


def write(path: str, message: dict[str, Any]) -> None:
    """Write `message` with the boot id, durably. Raises OSError."""
    atomicfile.write_json(path, {**message, "boot_id": procfs.boot_id()})


def remove(path: str) -> None:
    """Forget the record of an earlier run; none is fine."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass

"""Kill a process and what it started, as far as the kernel tells.

A process that left its session and whose parent died belongs to the container's pid 1; it cannot be told from others.
"""

from __future__ import annotations

import os
import signal

_ROUNDS = 8
"""Of looking for processes that were forked while the others were being stopped."""


def kill(root: int, candidates: list[int]) -> None:
    """SIGKILL `root`, its session and its descendants among `candidates` (pids of the cgroup; empty: all processes)."""
    # Stopped first, none can fork while the others are being looked for, nor say on its stderr that a child was killed.
    stopped: set[int] = set()
    _signal(root, signal.SIGSTOP)
    for _ in range(_ROUNDS):
        found = members(root, candidates or everyone()) - stopped
        if not found:
            break
        for pid in found:
            _signal(pid, signal.SIGSTOP)
        stopped |= found
    for pid in stopped | {root}:
        _signal(pid, signal.SIGKILL)


def members(root: int, candidates: list[int]) -> set[int]:
    """`root`, the living processes of its session and their descendants."""
    parents: dict[int, int] = {}
    found = {root}
    for pid in candidates:
        fields = _stat(pid)
        if fields is None:
            continue
        state, parent, session = fields
        if state in ("Z", "X"):
            continue
        parents[pid] = parent
        if session == root:
            found.add(pid)
    grown = True
    while grown:
        grown = False
        for pid, parent in parents.items():
            if parent in found and pid not in found:
                found.add(pid)
                grown = True
    return found


def everyone() -> list[int]:
    """All process ids of this pid namespace."""
    return [int(name) for name in os.listdir("/proc") if name.isdecimal()]


def _stat(pid: int) -> tuple[str, int, int] | None:
    """(state, parent, session)."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    words = text[text.rindex(b")") + 2 :].split()
    return words[0].decode(), int(words[1]), int(words[3])


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass

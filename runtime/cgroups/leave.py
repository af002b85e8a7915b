"""Leave the caller's cgroup in every hierarchy: a scope that ends must not end the engine with it.

The root of each hierarchy is the one cgroup that always exists and that nobody kills. On v2 it may hold processes
beside child cgroups, unlike any other.
"""

from __future__ import annotations

import os


def leave_cgroup(mountinfo: str = "/proc/self/mountinfo") -> list[str]:
    """Move the calling process to the root of each hierarchy; returns those it could not leave.

    Named v1 hierarchies (systemd's) count too: a session's scope is one of theirs.
    """
    kept = []
    for mount in _hierarchies(mountinfo):
        try:
            fd = os.open(f"{mount}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
        except OSError:
            kept.append(mount)
            continue
        try:
            os.write(fd, b"0")
        except OSError:
            kept.append(mount)
        finally:
            os.close(fd)
    return kept


def _hierarchies(mountinfo: str) -> list[str]:
    with open(mountinfo, encoding="utf-8", errors="surrogateescape") as stream:
        lines = stream.read().splitlines()
    found = []
    for line in lines:
        left, _, right = line.partition(" - ")
        if right.split(" ", 1)[0] in {"cgroup", "cgroup2"}:
            found.append(left.split()[4])
    return found

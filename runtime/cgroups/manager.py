"""The one protocol of all cgroup managers, and the null object where there are no cgroups.

A child joins after pivot_root, when the host's /sys/fs/cgroup is out of reach: the descriptors are opened before the fork.
"""

from __future__ import annotations

from typing import Any, Protocol


class Manager(Protocol):
    """The cgroup of one container."""

    version: int
    """1, 2, or 0 when disabled."""
    name: str
    """Path below the mount root of each hierarchy."""

    def create(self, resources: dict[str, Any]) -> list[str]:
        """Make the cgroup, write the limits, open what `join` needs; returns files that this kernel lacks.

        Raises SyscallError, InvalidParameter. A cgroup of that name is taken over.
        """
        ...

    def directories(self) -> list[tuple[str, str]]:
        """(name of the hierarchy, directory of this cgroup); v2 has one, called ``""``."""
        ...

    def adopt(self) -> None:
        """Open what `join` needs of a cgroup that another process made; repeated calls do nothing. Raises OSError."""
        ...

    def join(self) -> None:
        """Move the calling single-threaded process into the cgroup; safe after fork and after pivot_root."""
        ...

    def pids(self) -> list[int]:
        """Process ids in the cgroup and below, as the caller's pid namespace numbers them."""
        ...

    def kill_all(self) -> None:
        """SIGKILL every process in the cgroup and below, frozen ones too."""
        ...

    def freeze(self) -> None:
        """Stop every process; raises SystemFailure when that takes more than two seconds."""
        ...

    def thaw(self) -> None:
        """Let frozen processes run; nothing happens when none is."""
        ...

    def stats(self) -> dict[str, Any]:
        """Bytes, nanoseconds and counts: `{memory, cpu, pids, io}`; what the kernel lacks is absent."""
        ...

    def oom_kill_count(self) -> int:
        """Processes killed for exceeding the memory limit since the cgroup was made."""
        ...

    def delete(self) -> None:
        """Remove the cgroup and those below; gone already is success. Raises SyscallError when processes remain."""
        ...


class DisabledManager:
    """No cgroups to be had: limits are not enforced, everything else works."""

    version = 0
    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def create(self, resources: dict[str, Any]) -> list[str]:
        return sorted(f"{section} limits" for section, value in resources.items() if value and section != "devices")

    def adopt(self) -> None:
        return

    def directories(self) -> list[tuple[str, str]]:
        return []

    def join(self) -> None:
        return

    def pids(self) -> list[int]:
        return []

    def kill_all(self) -> None:
        return

    def freeze(self) -> None:
        return

    def thaw(self) -> None:
        return

    def stats(self) -> dict[str, Any]:
        return {}

    def oom_kill_count(self) -> int:
        return 0

    def delete(self) -> None:
        return

"""What a container gets when nothing is said: mounts, hidden paths, device rules, environment.

Docker 29's posture. Paths that a machine does not have are skipped by the child, so the lists may be complete.
"""

from __future__ import annotations

from typing import Any, Final

OCI_VERSION: Final = "1.2.0"
PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SHM_SIZE: Final = 64 << 20
MIN_MEMORY: Final = 6 << 20
"""Less does not even carry a process to its execve."""

MASKED_PATHS: Final = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""Host secrets and side channels (power and interrupt counters among them); per-CPU thermal files come from the facts."""

READONLY_PATHS: Final = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

NETWORK_SYSCTLS: Final = {"net.ipv4.ip_unprivileged_port_start": "0"}
PING_SYSCTLS: Final = {"net.ipv4.ping_group_range": "0 2147483647"}
"""ICMP sockets without NET_RAW; group ids that a user namespace does not map are refused by the kernel."""


def mounts() -> list[dict[str, Any]]:
    """The mounts of every container, in order; /dev/shm is yet without its size."""
    return [
        _mount("/proc", "proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount(
            "/dev/pts", "devpts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"
        ),
        _mount("/sys", "sysfs", "sysfs", "nosuid", "noexec", "nodev", "ro"),
        _mount("/sys/fs/cgroup", "cgroup", "cgroup", "ro", "nosuid", "noexec", "nodev"),
        _mount("/dev/mqueue", "mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _mount("/dev/shm", "tmpfs", "shm", "nosuid", "noexec", "nodev", "mode=1777"),
    ]


def device_rules() -> list[dict[str, Any]]:
    """The device cgroup's rules: any node may be made, only harmless ones opened."""
    return [
        {"allow": False, "access": "rwm"},
        _rule("c", None, None, "m"),
        _rule("b", None, None, "m"),
        _rule("c", 1, 3),  # null
        _rule("c", 1, 5),  # zero
        _rule("c", 1, 7),  # full
        _rule("c", 1, 8),  # random
        _rule("c", 1, 9),  # urandom
        _rule("c", 5, 0),  # tty
        _rule("c", 5, 1),  # console
        _rule("c", 5, 2),  # ptmx
        _rule("c", 10, 200),  # net/tun, useless without NET_ADMIN
        _rule("c", 136, None),  # pts/*
        {"allow": False, "type": "c", "major": 10, "minor": 229, "access": "rwm"},  # fuse
    ]


def _rule(kind: str, major: int | None, minor: int | None, access: str = "rwm") -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule


def _mount(destination: str, kind: str, source: str, *options: str) -> dict[str, Any]:
    return {"destination": destination, "type": kind, "source": source, "options": list(options)}

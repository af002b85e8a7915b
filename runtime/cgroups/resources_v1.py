"""OCI `linux.resources` as (file, value) writes for cgroup v1.

Pure. The order is that of the writes: the kernel wants memory before memory+swap and the period before the quota.
"""

from __future__ import annotations

from typing import Any

Write = tuple[str, str]

OPTIONAL = frozenset(
    {
        "memory.memsw.limit_in_bytes",
        "memory.swappiness",
        "memory.kmem.tcp.limit_in_bytes",
        "cpu.cfs_burst_us",
        "cpu.idle",
        "cpu.rt_period_us",
        "cpu.rt_runtime_us",
        "blkio.bfq.weight",
        "blkio.bfq.weight_device",
    }
)
"""Files that kernels lack by configuration; a limit on one of them is dropped and named, not fatal."""

_SCALARS: tuple[tuple[str, str, str], ...] = (
    ("memory", "limit", "memory.limit_in_bytes"),
    ("memory", "swap", "memory.memsw.limit_in_bytes"),
    ("memory", "reservation", "memory.soft_limit_in_bytes"),
    ("memory", "kernelTCP", "memory.kmem.tcp.limit_in_bytes"),
    ("memory", "swappiness", "memory.swappiness"),
    ("cpu", "shares", "cpu.shares"),
    ("cpu", "period", "cpu.cfs_period_us"),
    ("cpu", "quota", "cpu.cfs_quota_us"),
    ("cpu", "burst", "cpu.cfs_burst_us"),
    ("cpu", "idle", "cpu.idle"),
    ("cpu", "realtimePeriod", "cpu.rt_period_us"),
    ("cpu", "realtimeRuntime", "cpu.rt_runtime_us"),
    ("cpu", "cpus", "cpuset.cpus"),
    ("cpu", "mems", "cpuset.mems"),
    ("blockIO", "weight", "blkio.bfq.weight"),
)

_THROTTLES: tuple[tuple[str, str], ...] = (
    ("throttleReadBpsDevice", "blkio.throttle.read_bps_device"),
    ("throttleWriteBpsDevice", "blkio.throttle.write_bps_device"),
    ("throttleReadIOPSDevice", "blkio.throttle.read_iops_device"),
    ("throttleWriteIOPSDevice", "blkio.throttle.write_iops_device"),
)


def writes(resources: dict[str, Any]) -> list[Write]:
    """The writes for `resources`; hugepage limits and network classes are not among them."""
    out: list[Write] = []
    for section, key, file in _SCALARS:
        value = (resources.get(section) or {}).get(key)
        # Zero and the empty string mean "not asked for" in the engine API; idle and swappiness may be zero.
        if value is None or (not value and key not in ("swappiness", "idle")):
            continue
        out.append((file, str(value)))
    if (resources.get("memory") or {}).get("disableOOMKiller"):
        out.append(("memory.oom_control", "1"))
    out += _pids(resources)
    out += _block_io(resources.get("blockIO") or {})
    out += [device_write(rule) for rule in resources.get("devices") or ()]
    return out


def controller(file: str) -> str:
    """The controller a file belongs to: its name up to the first dot."""
    return file.partition(".")[0]


def device_write(rule: dict[str, Any]) -> Write:
    """One device rule in the kernel's form: `a`, or `c 1:3 rwm` with `*` for an absent number."""
    file = "devices.allow" if rule.get("allow") else "devices.deny"
    kind = rule.get("type") or "a"
    access = rule.get("access") or "rwm"
    major, minor = _number(rule.get("major")), _number(rule.get("minor"))
    if kind == "a" and (major, minor) == ("*", "*"):
        return file, "a"
    return file, f"{kind} {major}:{minor} {access}"


def _number(value: Any) -> str:
    return "*" if value is None or value < 0 else str(value)


def _pids(resources: dict[str, Any]) -> list[Write]:
    limit = (resources.get("pids") or {}).get("limit")
    if not limit:
        return []
    return [("pids.max", str(limit) if limit > 0 else "max")]


def _block_io(block: dict[str, Any]) -> list[Write]:
    out: list[Write] = [
        ("blkio.bfq.weight_device", f"{device['major']}:{device['minor']} {device['weight']}")
        for device in block.get("weightDevice") or ()
        if device.get("weight")
    ]
    for key, file in _THROTTLES:
        out += [(file, f"{device['major']}:{device['minor']} {device['rate']}") for device in block.get(key) or ()]
    return out

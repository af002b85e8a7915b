"""OCI `linux.resources` as (file, value) writes for cgroup v2.

Pure. v2 counts swap apart from memory, weighs CPUs 1 to 10000 and has no device files: devicefilter.py makes a program.
"""

from __future__ import annotations

from typing import Any

from runtime.errors import InvalidParameter

Write = tuple[str, str]

OPTIONAL = frozenset(
    {"memory.swap.max", "cpu.max.burst", "cpu.idle", "cpu.weight", "io.weight", "io.bfq.weight", "io.max"}
)
"""Files that kernels lack by configuration; a limit on one of them is dropped and named, not fatal."""

_THROTTLES: tuple[tuple[str, str], ...] = (
    ("throttleReadBpsDevice", "rbps"),
    ("throttleWriteBpsDevice", "wbps"),
    ("throttleReadIOPSDevice", "riops"),
    ("throttleWriteIOPSDevice", "wiops"),
)


def writes(resources: dict[str, Any]) -> list[Write]:
    """The writes for `resources`. Raises InvalidParameter for a swap limit that v2 cannot express."""
    return [
        *_memory(resources.get("memory") or {}),
        *_cpu(resources.get("cpu") or {}),
        *_pids(resources.get("pids") or {}),
        *_block_io(resources.get("blockIO") or {}),
        *((file, str(value)) for file, value in (resources.get("unified") or {}).items()),
    ]


def controller(file: str) -> str:
    """The controller a file belongs to: its name up to the first dot."""
    return file.partition(".")[0]


def cpu_weight(shares: int) -> int:
    """v1 shares 2..262144 on v2's scale 1..10000; 1024 becomes 39, as runc has it."""
    shares = min(max(shares, 2), 262144)
    return 1 + (shares - 2) * 9999 // 262142


def io_weight(weight: int) -> int:
    """blkio weight 10..1000 on v2's scale 1..10000."""
    return 1 + (min(max(weight, 10), 1000) - 10) * 9999 // 990


def _memory(memory: dict[str, Any]) -> list[Write]:
    limit, swap, reservation = (memory.get(key) or 0 for key in ("limit", "swap", "reservation"))
    out: list[Write] = []
    if limit:
        out.append(("memory.max", _bounded(limit)))
    if swap:
        out.append(("memory.swap.max", _swap(limit, swap)))
    if reservation:
        out.append(("memory.low", _bounded(reservation)))
    return out


def _swap(limit: int, swap: int) -> str:
    if swap < 0:
        return "max"
    if limit <= 0:
        raise InvalidParameter("memory swap limit needs a memory limit")
    if swap < limit:
        raise InvalidParameter(f"memory swap limit {swap} is below the memory limit {limit}")
    return str(swap - limit)


def _cpu(cpu: dict[str, Any]) -> list[Write]:
    out: list[Write] = []
    if cpu.get("shares"):
        out.append(("cpu.weight", str(cpu_weight(cpu["shares"]))))
    quota, period = cpu.get("quota") or 0, cpu.get("period") or 0
    if quota or period:
        out.append(("cpu.max", f"{quota if quota > 0 else 'max'} {period or 100000}"))
    if cpu.get("burst"):
        out.append(("cpu.max.burst", str(cpu["burst"])))
    if cpu.get("idle") is not None:
        out.append(("cpu.idle", str(cpu["idle"])))
    if cpu.get("cpus"):
        out.append(("cpuset.cpus", str(cpu["cpus"])))
    if cpu.get("mems"):
        out.append(("cpuset.mems", str(cpu["mems"])))
    return out


def _pids(pids: dict[str, Any]) -> list[Write]:
    limit = pids.get("limit")
    return [("pids.max", _bounded(limit))] if limit else []


def _block_io(block: dict[str, Any]) -> list[Write]:
    out: list[Write] = []
    if block.get("weight"):
        out.append(("io.weight", f"default {io_weight(block['weight'])}"))
    out += [
        ("io.weight", f"{device['major']}:{device['minor']} {io_weight(device['weight'])}")
        for device in block.get("weightDevice") or ()
        if device.get("weight")
    ]
    for key, word in _THROTTLES:
        out += [
            ("io.max", f"{device['major']}:{device['minor']} {word}={device['rate']}")
            for device in block.get(key) or ()
        ]
    return out


def _bounded(value: int) -> str:
    return str(value) if value > 0 else "max"

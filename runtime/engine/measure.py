"""Look at what runs in a container: its processes, and what it has used of the machine.

Counters only: rates are for the reader, who asks twice. The limit of a cgroup without one is a huge number or absent;
the machine's memory is told then, as Docker does.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from runtime.engine.clock import now_rfc3339
from runtime.errors import Conflict
from runtime.linux import processes

if TYPE_CHECKING:
    from runtime.engine.container import Container

LOOPBACK = "lo:"
_RECEIVED, _SENT = 0, 8
"""Columns of /proc/net/dev with the bytes."""


def top(container: Container) -> dict[str, Any]:
    """Titles and Processes as `ps -ef` tells them; raises Conflict if it does not run."""
    run = container.run
    if (not container.running and container.record.status != "paused") or run is None:
        raise Conflict(f"container {container.record.id} is not running")
    return {"Titles": list(processes.TITLES), "Processes": processes.table(run.cgroup.pids())}


def stats(container: Container) -> dict[str, Any]:
    """Counters of this instant: bytes, nanoseconds, counts; all zero for one that does not run."""
    record = container.record
    found: dict[str, Any] = {
        "Id": record.id,
        "Name": record.name,
        "Status": record.status,
        "Read": now_rfc3339(),
        "Clock": time.monotonic_ns(),
        "CPUs": os.cpu_count() or 1,
        "CPU": 0,
        "Memory": 0,
        "MemoryLimit": 0,
        "Received": 0,
        "Sent": 0,
        "BlockRead": 0,
        "BlockWritten": 0,
        "Pids": 0,
    }
    run = container.run
    if run is None or record.status not in {"running", "paused"}:
        return found
    run.cgroup.adopt()
    counters = run.cgroup.stats()
    memory, block = counters.get("memory") or {}, counters.get("io") or {}
    received, sent = _network(run.init_pid)
    return {
        **found,
        "CPU": (counters.get("cpu") or {}).get("usage_ns", 0),
        "Memory": _in_use(memory),
        "MemoryLimit": min(memory.get("limit") or _machine_memory(), _machine_memory()),
        "Received": received,
        "Sent": sent,
        "BlockRead": block.get("read_bytes", 0),
        "BlockWritten": block.get("write_bytes", 0),
        "Pids": (counters.get("pids") or {}).get("current", 0),
    }


def _in_use(memory: dict[str, Any]) -> int:
    """Usage without the page cache that the kernel would give back first, as Docker counts it."""
    usage, table = int(memory.get("usage") or 0), memory.get("stat") or {}
    idle = int(table.get("total_inactive_file", table.get("inactive_file", 0)))
    return usage - idle if idle < usage else usage


def _machine_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _network(pid: int) -> tuple[int, int]:
    """Bytes received and sent on all interfaces of the process's network namespace but the loopback one."""
    received = sent = 0
    try:
        with open(f"/proc/{pid}/net/dev", encoding="ascii") as stream:
            lines = stream.readlines()[2:]
    except OSError:  # it ended this instant
        return 0, 0
    for line in lines:
        name, _, values = line.partition(":")
        if f"{name.strip()}:" != LOOPBACK:
            columns = values.split()
            received += int(columns[_RECEIVED])
            sent += int(columns[_SENT])
    return received, sent

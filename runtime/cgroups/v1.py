"""cgroup v1: one directory per controller, also where a nearly empty v2 tree is mounted beside (hybrid).

Writing "0" to `tasks` moves the caller without the global thread-group lock that `cgroup.procs` takes (up to 10 ms).
"""

from __future__ import annotations

import os
import signal
import time
from errno import ENOENT
from typing import Any

from runtime.cgroups import directory, placement, resources_v1
from runtime.errors import SyscallError, SystemFailure

ALWAYS = ("memory", "cpu", "cpuacct", "pids", "devices", "freezer")
"""Controllers that every container gets; each costs about 0.1 ms, so the others come only when asked for."""
EVERYWHERE = "x-all-hierarchies"
"""In the resources of a container that manages cgroups itself: where it has none of its own it would use the host's."""

FREEZE_SECONDS = 2.0


class ManagerV1:
    """The cgroup `name` in the hierarchies of `mounts` (controller, or name of a hierarchy without, to mount point)."""

    version = 1
    __slots__ = ("_directories", "_join", "_mounts", "name")

    def __init__(self, mounts: dict[str, str], name: str) -> None:
        self.name = name
        self._mounts = mounts
        self._join: list[int] = []
        self._directories: dict[str, str] = {
            controller: f"{mounts[controller]}/{name}" for controller in ALWAYS if controller in mounts
        }

    def create(self, resources: dict[str, Any]) -> list[str]:
        writes = resources_v1.writes(resources)
        for file, _ in writes:
            self._want(resources_v1.controller(file))
        if resources.get("memory") or resources.get("cpu"):
            # Java believes in no limit at all unless it finds a cpuset beside it.
            self._want("cpuset")
        for controller in self._mounts if resources.get(EVERYWHERE) else ():
            self._want(controller)
        for path in dict.fromkeys(self._directories.values()):
            self._make(path)
        if "cpuset" in self._directories:
            self._inherit_cpuset()
        skipped = [file for file, value in writes if not self._write(file, value)]
        self.adopt()
        return skipped

    def adopt(self) -> None:
        if self._join:
            return
        for controller, mount in self._mounts.items():
            if controller not in self._directories and os.path.isdir(f"{mount}/{self.name}"):
                self._directories[controller] = f"{mount}/{self.name}"
        for path in dict.fromkeys(self._directories.values()):
            v2 = path == f"{self._mounts.get('unified')}/{self.name}"
            self._join.append(os.open(f"{path}/{'cgroup.procs' if v2 else 'tasks'}", os.O_WRONLY | os.O_CLOEXEC))

    def directories(self) -> list[tuple[str, str]]:
        # Hierarchies are named as they are mounted: `cpu,cpuacct` may be one.
        found = dict.fromkeys((self._mounts[controller], path) for controller, path in self._directories.items())
        return [(os.path.basename(mount), path) for mount, path in found]

    def join(self) -> None:
        for fd in self._join:
            os.write(fd, b"0")

    def pids(self) -> list[int]:
        path = self._any()
        return directory.pids(path) if path else []

    def kill_all(self) -> None:
        path = self._any()
        if path is None:
            return
        # A fork bomb outruns one pass over the list; frozen it cannot fork, and SIGKILL strikes at the thaw.
        for _ in range(10):
            if not directory.signal_all(path, signal.SIGKILL):
                break
            self.thaw()
            time.sleep(0.001)
        else:
            self._freeze_for(0.2)
            directory.signal_all(path, signal.SIGKILL)
        self.thaw()

    def freeze(self) -> None:
        if not self._freeze_for(FREEZE_SECONDS):
            self.thaw()
            raise SystemFailure(f"cgroup {self.name} did not freeze within {FREEZE_SECONDS:g} s")

    def thaw(self) -> None:
        path = self._directories.get("freezer")
        if path is None:
            return
        try:
            directory.write(f"{path}/freezer.state", "THAWED")
        except SyscallError:
            if os.path.isdir(path):
                raise

    def stats(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for controller, read in _STATS.items():
            path = self._directories.get(controller)
            if path is not None and (values := read(path)):
                found.setdefault(_SECTION[controller], {}).update(values)
        return found

    def oom_kill_count(self) -> int:
        path = self._directories.get("memory")
        return directory.read_table(f"{path}/memory.oom_control").get("oom_kill", 0) if path else 0

    def delete(self) -> None:
        while self._join:
            os.close(self._join.pop())
        failure: SyscallError | None = None
        # All mounted hierarchies: another process may have asked for controllers that this object has not seen.
        for mount in dict.fromkeys(self._mounts.values()):
            try:
                directory.remove(f"{mount}/{self.name}", patience=0.0 if failure else directory.PATIENCE)
            except SyscallError as error:
                failure = failure or error
            else:
                if not placement.is_own(self.name):
                    placement.prune(mount, self.name)
        if failure is not None:
            raise failure

    def _any(self) -> str | None:
        return self._directories.get("freezer") or next(iter(self._directories.values()), None)

    def _want(self, controller: str) -> None:
        if controller in self._mounts:
            self._directories.setdefault(controller, f"{self._mounts[controller]}/{self.name}")

    def _make(self, path: str) -> bool:
        """False if it was there already."""
        try:
            return directory.make(path)
        except SyscallError as error:
            if error.errno != ENOENT:
                raise
        # The parent is made by whoever comes first, and removed by whoever leaves last: perhaps just now.
        above = os.path.dirname(path)
        if self._make(above) and not placement.is_own(self.name):
            placement.mark(above)
        return self._make(path)

    def _write(self, file: str, value: str) -> bool:
        path = self._directories.get(resources_v1.controller(file))
        if path is None:
            return False
        try:
            directory.write(f"{path}/{file}", value)
        except SyscallError:
            if file in resources_v1.OPTIONAL and not os.path.exists(f"{path}/{file}"):
                return False
            raise
        return True

    def _inherit_cpuset(self) -> None:
        """A new cpuset is empty and admits no task: copy each level's lists down."""
        path = self._mounts["cpuset"]
        for part in self.name.split("/"):
            parent, path = path, f"{path}/{part}"
            for file in ("cpuset.cpus", "cpuset.mems"):
                if not directory.read(f"{path}/{file}").strip():
                    directory.write(f"{path}/{file}", directory.read(f"{parent}/{file}").strip())

    def _freeze_for(self, seconds: float) -> bool:
        path = self._directories.get("freezer")
        if path is None:
            return True
        deadline = time.monotonic() + seconds
        while True:
            directory.write(f"{path}/freezer.state", "FROZEN")
            if directory.read(f"{path}/freezer.state").strip() == "FROZEN":
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.001)


def _memory(path: str) -> dict[str, Any]:
    values: dict[str, Any] = {
        "usage": directory.read_int(f"{path}/memory.usage_in_bytes"),
        "max_usage": directory.read_int(f"{path}/memory.max_usage_in_bytes"),
        "limit": directory.read_int(f"{path}/memory.limit_in_bytes"),
        "failures": directory.read_int(f"{path}/memory.failcnt"),
        "stat": directory.read_table(f"{path}/memory.stat"),
    }
    return values if values["usage"] is not None else {}


def _cpu(path: str) -> dict[str, Any]:
    table = directory.read_table(f"{path}/cpu.stat")
    if not table:
        return {}
    return {
        "periods": table.get("nr_periods", 0),
        "throttled_periods": table.get("nr_throttled", 0),
        "throttled_ns": table.get("throttled_time", 0),
    }


def _cpuacct(path: str) -> dict[str, Any]:
    usage = directory.read_int(f"{path}/cpuacct.usage")
    if usage is None:
        return {}
    return {
        "usage_ns": usage,
        "user_ns": directory.read_int(f"{path}/cpuacct.usage_user") or 0,
        "system_ns": directory.read_int(f"{path}/cpuacct.usage_sys") or 0,
    }


def _pids(path: str) -> dict[str, Any]:
    current = directory.read_int(f"{path}/pids.current")
    return {} if current is None else {"current": current, "limit": directory.read_int(f"{path}/pids.max")}


def _blkio(path: str) -> dict[str, Any]:
    totals = {"read_bytes": 0, "write_bytes": 0}
    for line in directory.read(f"{path}/blkio.throttle.io_service_bytes").splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in ("Read", "Write"):
            totals[f"{words[1].lower()}_bytes"] += int(words[2])
    return totals


_STATS = {"memory": _memory, "cpu": _cpu, "cpuacct": _cpuacct, "pids": _pids, "blkio": _blkio}
_SECTION = {"memory": "memory", "cpu": "cpu", "cpuacct": "cpu", "pids": "pids", "blkio": "io"}

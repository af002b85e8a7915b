"""cgroup v2: one directory, controllers switched on from the root down, devices by a BPF program.

A controller is usable in a cgroup only when each ancestor lists it in cgroup.subtree_control.
"""

from __future__ import annotations

import os
import time
from errno import ENOENT
from typing import TYPE_CHECKING, Any

from runtime.cgroups import devicefilter, directory, placement, resources_v2
from runtime.errors import SyscallError, SystemFailure

if TYPE_CHECKING:
    from collections.abc import Callable

CONTROLLERS = ("cpu", "memory", "pids", "cpuset", "io")
FREEZE_SECONDS = 2.0
_ATTEMPTS = 5


class ManagerV2:
    """The cgroup `name` below the unified `mount`; `attach(directory fd, program)` loads a device program."""

    version = 2
    __slots__ = ("_attach", "_join", "_mount", "_path", "name")

    def __init__(self, mount: str, name: str, attach: Callable[[int, bytes], None] | None = None) -> None:
        self.name = name
        self._mount = mount
        self._path = f"{mount}/{name}"
        self._attach = attach
        self._join: int | None = None

    def create(self, resources: dict[str, Any]) -> list[str]:
        writes = resources_v2.writes(resources)
        self._make()
        skipped = [file for file, value in writes if not self._write(file, value)]
        rules = resources.get("devices") or []
        if rules and not self._enforce_devices(rules):
            skipped.append("devices")
        self.adopt()
        return skipped

    def adopt(self) -> None:
        if self._join is None:
            self._join = os.open(f"{self._place()}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)

    def _place(self) -> str:
        """Where a process can join: a cgroup that hands controllers on admits none (EBUSY), so beside its first one."""
        if not directory.read(f"{self._path}/cgroup.subtree_control").strip():
            return self._path
        inhabited = {
            min(map(int, found)): path
            for path in directory.tree(self._path)
            if (found := directory.read(f"{path}/cgroup.procs").split())
        }
        return inhabited[min(inhabited)] if inhabited else self._path

    def directories(self) -> list[tuple[str, str]]:
        return [("", self._path)]

    def join(self) -> None:
        if self._join is not None:
            os.write(self._join, b"0")

    def pids(self) -> list[int]:
        return directory.pids(self._path)

    def kill_all(self) -> None:
        try:
            directory.write(f"{self._path}/cgroup.kill", "1")
        except SyscallError:  # before Linux 5.14, or gone
            for _ in range(100):
                if not directory.signal_all(self._path):
                    break
                self.thaw()
                time.sleep(0.001)

    def freeze(self) -> None:
        directory.write(f"{self._path}/cgroup.freeze", "1")
        deadline = time.monotonic() + FREEZE_SECONDS
        while directory.read_table(f"{self._path}/cgroup.events").get("frozen") != 1:
            if time.monotonic() >= deadline:
                self.thaw()
                raise SystemFailure(f"cgroup {self.name} did not freeze within {FREEZE_SECONDS:g} s")
            time.sleep(0.001)

    def thaw(self) -> None:
        try:
            directory.write(f"{self._path}/cgroup.freeze", "0")
        except SyscallError:
            if os.path.isdir(self._path):
                raise

    def stats(self) -> dict[str, Any]:
        found = {"memory": self._memory(), "cpu": self._cpu(), "pids": self._pids(), "io": self._io()}
        return {section: values for section, values in found.items() if values}

    def oom_kill_count(self) -> int:
        return directory.read_table(f"{self._path}/memory.events").get("oom_kill", 0)

    def delete(self) -> None:
        if self._join is not None:
            os.close(self._join)
            self._join = None
        directory.remove(self._path)
        if not placement.is_own(self.name):
            placement.prune(self._mount, self.name)

    def _make(self) -> None:
        for left in reversed(range(_ATTEMPTS)):
            try:
                self._make_all()
            except SyscallError as error:
                # Whoever leaves a parent last removes it: perhaps just now.
                if error.errno != ENOENT or not left:
                    raise
            else:
                return

    def _make_all(self) -> None:
        path = self._mount
        for part in self.name.split("/"):
            self._delegate(path)
            path = f"{path}/{part}"
            if directory.make(path) and path != self._path and not placement.is_own(self.name):
                placement.mark(path)

    def _delegate(self, path: str) -> None:
        have = directory.read(f"{path}/cgroup.subtree_control").split()
        available = directory.read(f"{path}/cgroup.controllers").split()
        # One by one: a single one that is refused (cpu with realtime tasks) must not take the others with it.
        for controller in CONTROLLERS:
            if controller in available and controller not in have:
                try:
                    directory.write(f"{path}/cgroup.subtree_control", f"+{controller}")
                except SyscallError:
                    continue

    def _write(self, file: str, value: str) -> bool:
        try:
            directory.write(f"{self._path}/{file}", value)
        except SyscallError:
            if file in resources_v2.OPTIONAL and not os.path.exists(f"{self._path}/{file}"):
                return False
            raise
        return True

    def _enforce_devices(self, rules: list[dict[str, Any]]) -> bool:
        if self._attach is None:
            return False
        fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._attach(fd, devicefilter.program(rules))
        finally:
            os.close(fd)
        return True

    def _memory(self) -> dict[str, Any]:
        usage = directory.read_int(f"{self._path}/memory.current")
        if usage is None:
            return {}
        return {
            "usage": usage,
            "max_usage": directory.read_int(f"{self._path}/memory.peak"),
            "limit": directory.read_int(f"{self._path}/memory.max"),
            "failures": directory.read_table(f"{self._path}/memory.events").get("max", 0),
            "stat": directory.read_table(f"{self._path}/memory.stat"),
        }

    def _cpu(self) -> dict[str, Any]:
        table = directory.read_table(f"{self._path}/cpu.stat")
        if not table:
            return {}
        return {
            "usage_ns": table.get("usage_usec", 0) * 1000,
            "user_ns": table.get("user_usec", 0) * 1000,
            "system_ns": table.get("system_usec", 0) * 1000,
            "periods": table.get("nr_periods", 0),
            "throttled_periods": table.get("nr_throttled", 0),
            "throttled_ns": table.get("throttled_usec", 0) * 1000,
        }

    def _pids(self) -> dict[str, Any]:
        current = directory.read_int(f"{self._path}/pids.current")
        return {} if current is None else {"current": current, "limit": directory.read_int(f"{self._path}/pids.max")}

    def _io(self) -> dict[str, Any]:
        text = directory.read(f"{self._path}/io.stat")
        totals = {"read_bytes": 0, "write_bytes": 0}
        for word in text.split():
            key, _, value = word.partition("=")
            if key in ("rbytes", "wbytes"):
                totals["read_bytes" if key == "rbytes" else "write_bytes"] += int(value)
        return totals if text else {}

"""Which cgroup hierarchies this machine has, from /proc/self/mountinfo.

Paths are below the mount points: our processes leave their caller's cgroup, so its place does not matter.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.cgroups import directory
from runtime.cgroups.manager import DisabledManager
from runtime.cgroups.v1 import ManagerV1
from runtime.cgroups.v2 import ManagerV2
from runtime.linux import bpfprog, procfs

if TYPE_CHECKING:
    from runtime.cgroups.manager import Manager


class Layout:
    """Mounted hierarchies; `version` is 1, 2 or 0 when none can be written to."""

    __slots__ = ("mounts", "version")

    def __init__(self, version: int, mounts: dict[str, str]) -> None:
        self.version = version
        self.mounts = mounts
        """v1: controller to mount point, and hierarchies without controllers (`name=systemd`, `unified`); v2: one entry
        with the key ``""``."""

    def manager(self, name: str) -> Manager:
        """The manager of the cgroup `name`, such as `pycompose/ENGINE/CONTAINER`; nothing is made yet."""
        if self.version == 1:
            return ManagerV1(self.mounts, name)
        if self.version == 2:
            return ManagerV2(self.mounts[""], name, bpfprog.attach_device)
        return DisabledManager(name)

    def prune(self, name: str) -> None:
        """Remove `name` and the cgroups above it in every hierarchy, as far as they are empty."""
        for mount in dict.fromkeys(self.mounts.values()):
            path = name
            while path:
                try:
                    os.rmdir(f"{mount}/{path}")
                except FileNotFoundError:
                    pass  # somebody was quicker, and may have found the one above in use then
                except OSError:
                    break  # not empty
                path = os.path.dirname(path)


def detect(mountinfo: str | None = None) -> Layout:
    """The machine's layout, or that of another `mountinfo` text."""
    text = directory.read("/proc/self/mountinfo") if mountinfo is None else mountinfo
    controllers, unified = parse(text)
    usable = {name: path for name, path in controllers.items() if os.access(path, os.W_OK)}
    if usable:
        return Layout(1, {**usable, **_without_controllers(text, unified)})
    if unified is not None and os.access(unified, os.W_OK):
        return Layout(2, {"": unified})
    return Layout(0, {})


def parse(mountinfo: str) -> tuple[dict[str, str], str | None]:
    """(v1 controller to mount point, v2 mount point or None); named hierarchies such as `name=systemd` are left out."""
    controllers: dict[str, str] = {}
    unified: str | None = None
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        fields, super_fields = left.split(), right.split()
        if len(fields) < 5 or len(super_fields) < 3:
            continue
        where, kind = procfs.unescape(fields[4]), super_fields[0]
        if kind == "cgroup2":
            unified = unified or where
        elif kind == "cgroup":
            for word in super_fields[2].split(","):
                if word in _V1_CONTROLLERS:
                    controllers.setdefault(word, where)
    return controllers, unified


def _without_controllers(mountinfo: str, unified: str | None) -> dict[str, str]:
    """Named v1 hierarchies and the v2 tree beside v1: where service managers keep their books."""
    found = {} if unified is None else {"unified": unified}
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        super_fields = right.split()
        if super_fields[:1] == ["cgroup"]:
            where = procfs.unescape(left.split()[4])
            found.update({word: where for word in super_fields[2].split(",") if word.startswith("name=")})
    return {name: path for name, path in found.items() if os.access(path, os.W_OK)}


_V1_CONTROLLERS = frozenset(
    {"memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio", "hugetlb", "net_cls", "net_prio"}
    | {"perf_event", "rdma", "misc"}
)

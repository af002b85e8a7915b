"""What specs depend on besides the record: found out once per engine."""

from __future__ import annotations

import glob
import os
import socket
from functools import lru_cache
from typing import TYPE_CHECKING

from runtime.linux import hostfacts
from runtime.oci import capabilities
from runtime.oci.spec import SpecFacts

if TYPE_CHECKING:
    from runtime.engine.engine import Engine

THERMAL = "/sys/devices/system/cpu/cpu[0-9]*/thermal_throttle"


def spec_facts(engine: Engine) -> SpecFacts:
    """Facts of this machine for a container that joins nobody."""
    return _machine(engine.cgroups.version)


@lru_cache(maxsize=4)
def _machine(cgroup_version: int) -> SpecFacts:
    return SpecFacts(
        cgroup_version=cgroup_version,
        rootless=os.geteuid() != 0,
        capabilities=bounding_set(),
        cpus=os.cpu_count() or 1,
        cpuset=_kernel_list("cpu"),
        mems=_kernel_list("node"),
        apparmor=hostfacts.read_text("/sys/module/apparmor/parameters/enabled").strip() == "Y",
        hostname="",
        masked_paths=tuple(sorted(glob.glob(THERMAL))),
    )


def _kernel_list(kind: str) -> frozenset[int] | None:
    """Online processors or memory nodes; None, not checked, where the kernel does not say."""
    return hostfacts.parse_list(hostfacts.read_text(f"/sys/devices/system/{kind}/online")) or None


@lru_cache(maxsize=1)
def bounding_set() -> frozenset[str]:
    """Our own bounding set: on some machines it lacks capabilities, and no container can have more."""
    with open("/proc/self/status", encoding="ascii") as stream:
        mask = next(int(line.split()[1], 16) for line in stream if line.startswith("CapBnd:"))
    return frozenset(name for name, number in capabilities.NUMBERS.items() if mask >> number & 1)


def host_name() -> str:
    """The host's name at this moment."""
    return socket.gethostname()

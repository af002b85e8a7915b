"""Gather from this machine what OCI specs depend on besides the container: read from /proc and /sys, nothing is tried."""

from __future__ import annotations

import os

from runtime.linux import hostfacts
from runtime.oci import capabilities
from runtime.oci.spec import SpecFacts


def gather(cgroup_version: int) -> SpecFacts:
    """The facts for a container that joins nobody.

    Our own bounding set counts: on some machines it lacks capabilities, and no container can have more.
    """
    text = hostfacts.read_text
    return SpecFacts(
        cgroup_version=cgroup_version,
        rootless=os.geteuid() != 0,
        capabilities=capabilities.names_of(hostfacts.bounding_set(text("/proc/self/status"))),
        cpus=os.cpu_count() or 1,
        cpuset=_online("cpu"),
        mems=_online("node"),
        apparmor=text("/sys/module/apparmor/parameters/enabled").strip() == "Y",
        hostname="",
        masked_paths=hostfacts.thermal_paths(hostfacts.parse_list(text("/sys/devices/system/cpu/possible"))),
    )


def _online(kind: str) -> frozenset[int] | None:
    """Online processors (`cpu`) or memory nodes (`node`); None, not checked, where the kernel does not say."""
    return hostfacts.parse_list(hostfacts.read_text(f"/sys/devices/system/{kind}/online")) or None

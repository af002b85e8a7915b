"""What the kernel has of any engine: cgroups, interfaces, tables, mounts. Everything here only looks."""

from __future__ import annotations

import os

from runtime.cgroups import layout
from runtime.linux import procfs
from runtime.linux.netlink import NetlinkError
from runtime.linux.nfnetlink import NetfilterSocket
from runtime.network import naming

PARENT = "pycompose"
"""The cgroup that holds one for each engine."""


def engines() -> list[tuple[str, list[str]]]:
    """(engine id, names of the cgroups in it) of each hierarchy."""
    return [
        (name, _folders(f"{mount}/{PARENT}/{name}"))
        for mount in dict.fromkeys(layout.detect().mounts.values())
        for name in _folders(f"{mount}/{PARENT}")
    ]


def cgroups(identity: str) -> list[str]:
    """Names of the engine's container cgroups below its own."""
    return sorted({name for engine, inside in engines() if identity and engine == identity for name in inside})


def busy(identity: str) -> list[str]:
    """Names of those of them that have processes in them."""
    machine = layout.detect()
    return [name for name in cgroups(identity) if machine.manager(f"{PARENT}/{identity}/{name}").pids()]


def links() -> list[str]:
    """Names of the host's interfaces."""
    return sorted(os.listdir("/sys/class/net"))


def tables() -> list[str]:
    """Names of the nftables tables of all our engines; none where the caller may not look."""
    try:
        netfilter = NetfilterSocket()
    except OSError:
        return []
    try:
        return sorted({chain.table for chain in netfilter.chains() if chain.table.startswith(naming.table_name(""))})
    except NetlinkError:
        return []
    finally:
        netfilter.close()


def mounts(*folders: str) -> list[tuple[str, str]]:
    """(mount point, type) of what is mounted below the folders in the caller's mount namespace, innermost first."""
    found = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as stream:
        for line in stream:
            left, _, right = line.partition(" - ")
            point, kind = procfs.unescape(left.split()[4]), right.split()[0]
            if any(point.startswith(f"{folder}/") for folder in folders):
                found.append((point, kind))
    return found[::-1]


def _folders(path: str) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []

"""What the kernel has of any engine: cgroups, interfaces, tables, mounts. Everything here only looks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.cgroups import layout, placement
from runtime.linux import procfs
from runtime.linux.netlink import NetlinkError
from runtime.linux.nfnetlink import NetfilterSocket
from runtime.network import naming

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def engines() -> list[tuple[str, list[str]]]:
    """(engine id, names of the cgroups in it) of each hierarchy."""
    return [
        (name, _folders(f"{mount}/{placement.OWN}/{name}"))
        for mount in dict.fromkeys(layout.detect().mounts.values())
        for name in _folders(f"{mount}/{placement.OWN}")
    ]


def cgroups(identity: str, containers: Collection[str]) -> list[str]:
    """The engine's cgroups, below the mount points: all below its own, and `containers` (ids) below parents of the user's."""
    if not identity:
        return []
    own = {f"{placement.OWN}/{engine}/{name}" for engine, inside in engines() if engine == identity for name in inside}
    elsewhere: set[str] = set()
    for mount in dict.fromkeys(layout.detect().mounts.values()) if containers else ():
        for folder, below, _ in os.walk(mount):
            here = os.path.relpath(folder, mount)
            below[:] = [name for name in below if here != "." or name != placement.OWN]
            elsewhere.update(os.path.normpath(f"{here}/{name}") for name in below if name in containers)
    return sorted(own | elsewhere)


def busy(cgroups: Iterable[str]) -> list[str]:
    """Names, without what is above them, of those that have processes in them."""
    machine = layout.detect()
    return [os.path.basename(name) for name in cgroups if machine.manager(name).pids()]


def links() -> list[str]:
    """Names of the host's interfaces."""
    return sorted(os.listdir("/sys/class/net"))


def group(link: str) -> int:
    """The group of an interface; 0, that of all others, if there is no such interface."""
    try:
        with open(f"/sys/class/net/{link}/netdev_group", encoding="ascii") as stream:
            return int(stream.read())
    except (OSError, ValueError):
        return 0


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

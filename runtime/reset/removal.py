"""Take it all away: processes first, then what the kernel has, then the files. Goes on after an error and tells of each.

The engine's lock is held from the moment nobody runs any more, so that no command starts a new engine meanwhile.
"""

from __future__ import annotations

import fcntl
import json
import os
from typing import TYPE_CHECKING, Any, Final

from runtime.cgroups import layout, placement
from runtime.errors import EngineError, Unavailable
from runtime.linux import constants as c
from runtime.linux.nfnetlink import NetfilterSocket
from runtime.linux.nft import open_nft
from runtime.linux.rtnetlink import RouteSocket, delete_link
from runtime.linux.syscalls import KERNEL
from runtime.linux.treeremoval import remove_tree
from runtime.network import foreign, forwarding, ruleset
from runtime.reset import kernelview, processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.paths import Paths
    from runtime.reset.inventory import Inventory

_FORWARDING_KEYS: Final = ("net/ipv4/", "net/ipv6/conf/")


def remove(paths: Paths, found: Inventory) -> list[str]:
    """Remove what was found; what could not be removed and why, one line each. Raises Unavailable, SystemFailure."""
    problems: list[str] = []
    _thaw(found)
    processes.end(paths)
    lock = _lock(paths)
    try:
        for what, step in _STEPS:
            try:
                step(paths, found)
            except (EngineError, OSError) as error:
                problems.append(f"{what}: {error}")
        problems += _remove_folders(paths, found)
    finally:
        if lock is not None:
            os.close(lock)
    return problems


def _thaw(found: Inventory) -> None:
    """A frozen process takes no signal, not even the last one."""
    cgroups = layout.detect()
    for name in found["cgroups"]:
        cgroups.manager(name).thaw()


def _lock(paths: Paths) -> int | None:
    if not os.path.isdir(paths.run):
        return None
    fd = os.open(paths.engine_lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise Unavailable(f"engine lock {paths.engine_lock}: held by a process that is none of ours") from None
    return fd


def _remove_cgroups(paths: Paths, found: Inventory) -> None:
    cgroups = layout.detect()
    for name in found["cgroups"]:
        manager = cgroups.manager(name)
        manager.kill_all()
        manager.delete()
    if found["engine"]:
        cgroups.prune(f"{placement.OWN}/{found['engine']}")


def _remove_firewall(paths: Paths, found: Inventory) -> None:
    if not found["tables"] and not found["rules"]:
        return
    nft = open_nft()
    if found["rules"]:
        netfilter = NetfilterSocket()
        try:
            foreign.forget_bridges(nft, netfilter.chains(), found["rules"])
        finally:
            netfilter.close()
    if found["tables"]:
        nft.run(ruleset.remove(found["engine"]))


def _remove_interfaces(paths: Paths, found: Inventory) -> None:
    if not found["interfaces"]:
        return
    route = RouteSocket()
    try:
        route.run([delete_link(name) for name in found["interfaces"]])
    finally:
        route.close()


def _restore_forwarding(paths: Paths, found: Inventory) -> None:
    """As before the first network; a record that somebody damaged changes nothing."""
    try:
        with open(f"{paths.root}/forwarding.json", encoding="utf-8") as stream:
            changed: Any = json.load(stream)
    except (OSError, ValueError):
        return
    if not isinstance(changed, dict):
        return
    known = {
        str(key): str(value)
        for key, value in changed.items()
        if str(key).startswith(_FORWARDING_KEYS) and ".." not in str(key) and str(value).isdecimal()
    }
    forwarding.restore(known, kernelview.links())


def _unmount(paths: Paths, found: Inventory) -> None:
    for point in found["mounts"]:
        KERNEL.umount2(point, c.MNT_DETACH)


def _remove_folders(paths: Paths, found: Inventory) -> list[str]:
    kept: list[str] = []
    for folder in found["folders"]:
        if os.path.ismount(folder):  # a disk of its own: it stays, empty
            kept += [path for name in os.listdir(folder) for path in remove_tree(f"{folder}/{name}")]
        else:
            kept += remove_tree(folder)
    return [f"{path}: could not be removed" for path in kept if not _holds(path, found["left"])]


def _holds(path: str, mounts: list[str]) -> bool:
    return any(point == path or point.startswith(f"{path}/") for point in mounts)


_STEPS: Final[tuple[tuple[str, Callable[[Paths, Inventory], None]], ...]] = (
    ("cgroups", _remove_cgroups),
    ("firewall", _remove_firewall),
    ("interfaces", _remove_interfaces),
    ("forwarding", _restore_forwarding),
    ("mounts", _unmount),
)

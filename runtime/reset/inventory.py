"""Find everything of one engine: on disk, among the processes, in the kernel. Damaged records are counted all the same.

The disk says what there should be, the kernel what there is; both count, since either may have outlived the other.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Final, TypedDict

from runtime.errors import Conflict, Forbidden, SystemFailure, Unavailable
from runtime.linux.netlink import NetlinkError
from runtime.linux.nfnetlink import NetfilterSocket
from runtime.linux.nft import open_nft
from runtime.network import foreign, naming
from runtime.reset import identity, kernelview, processes

if TYPE_CHECKING:
    from runtime.paths import Paths

SHORT_ID: Final = 12
_MARKS: Final = ("engine-id", "engine.log", "containers")
_OURS_ON_THE_HOST: Final = frozenset({"overlay", "tmpfs", "proc"})
"""Types of the mounts that we make; another one below a data root is somebody's disk."""


class Inventory(TypedDict):
    """What there is. Lists of names, but `processes` and `images` count."""

    engine: str
    """Its id; empty if it cannot be found out, then nothing in the kernel is known to be ours."""
    root: str
    run: str
    folders: list[str]
    containers: list[str]
    running: list[str]
    networks: list[str]
    volumes: list[str]
    images: int
    processes: int
    interfaces: list[str]
    tables: list[str]
    rules: list[str]
    """Interfaces with an exception in Docker's firewall."""
    cgroups: list[str]
    mounts: list[str]
    left: list[str]
    """Mount points below the folders that somebody else made: they stay, with what is in them."""


def look(paths: Paths) -> Inventory:
    """Take the inventory. Raises Forbidden where there is no data root of ours, Conflict where another has its id."""
    folders = [folder for folder in (paths.run, paths.root) if os.path.isdir(folder)]
    _check(paths, folders)
    engine = identity.engine_id(paths)
    _check_alone(paths, engine)
    tables = kernelview.tables()
    names = _containers(paths)
    cgroups = kernelview.cgroups(engine, names)
    mounted = kernelview.mounts(paths.run, paths.root)
    return Inventory(
        engine=engine,
        root=paths.root,
        run=paths.run,
        folders=folders,
        containers=sorted(names.values()),
        running=sorted(names.get(each, each[:SHORT_ID]) for each in kernelview.busy(cgroups)),
        networks=sorted(_names(paths.networks).values()),
        volumes=_listing(paths.volumes),
        images=len(_listing(f"{paths.images}/records")),
        processes=len(processes.of(paths)),
        interfaces=identity.interfaces(paths, engine, kernelview.links(), tables),
        tables=[name for name in tables if engine and name == naming.table_name(engine)],
        rules=identity.interfaces(paths, engine, _excepted(), tables),
        cgroups=cgroups,
        mounts=[point for point, kind in mounted if kind in _OURS_ON_THE_HOST],
        left=[point for point, kind in mounted if kind not in _OURS_ON_THE_HOST],
    )


def _check(paths: Paths, folders: list[str]) -> None:
    """Nothing is deleted that does not look like ours, however the folder got into our hands."""
    if paths.root in folders:
        found = os.listdir(paths.root)
        if found and not any(mark in found for mark in _MARKS):
            raise Forbidden(f"{paths.root} is not the data root of an engine: it has none of {', '.join(_MARKS)}")
    for folder in folders:
        if not os.access(folder, os.W_OK):
            who = "root" if os.geteuid() else "the engine's owner"
            raise Unavailable(f"{folder}: permission denied; run as {who}")


def _check_alone(paths: Paths, engine: str) -> None:
    """A copied data root has the id of the original: what the kernel has under that id is the other's."""
    own = os.path.realpath(paths.root)
    others = {root for _, root in processes.writers() if root != own}
    for other in sorted(others):
        if engine and identity.read_id(other) == engine:
            raise Conflict(
                f"{paths.root} has the id {engine} of the engine that runs in {other}: it is a copy of its data root, "
                "remove the file engine-id in the copy first"
            )


def _containers(paths: Paths) -> dict[str, str]:
    named = _names(paths.containers)
    return {each: named.get(each, each[:SHORT_ID]) for each in identity.container_ids(paths)}


def _names(folder: str) -> dict[str, str]:
    """Directory name to the name in its record, or the short id where that cannot be read."""
    found = {}
    for name in _listing(folder):
        try:
            with open(f"{folder}/{name}/config.json", encoding="utf-8") as stream:
                record: Any = json.load(stream)
            found[name] = str(record["name"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            found[name] = name[:SHORT_ID]
    return found


def _excepted() -> set[str]:
    try:
        netfilter = NetfilterSocket()
    except OSError:
        return set()
    try:
        return foreign.accepted_bridges(open_nft(), netfilter.chains())
    except (NetlinkError, SystemFailure, Unavailable):
        return set()
    finally:
        netfilter.close()


def _listing(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []

"""Whose data root this is: the engine's id, also where its file is damaged, and which interfaces carry it.

Names in the kernel carry the id in whole (tables, cgroups) or its first four digits (interfaces have 15 characters): the
latter are ours only where the rest is a network of ours, or where no other engine shares the digits. A bridge that
the user named is known by its group, a number made of our id and its network's.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from runtime.network import naming
from runtime.reset import kernelview

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from runtime.paths import Paths

_ID: Final = re.compile(r"[0-9a-f]{8}")
_OBJECT: Final = re.compile(r"[0-9a-f]{64}")
_BRIDGE: Final = re.compile(rf"{naming.PREFIX}([0-9a-f]{{4}})([0-9a-f]{{8}})")
_VETH: Final = re.compile(r"pyv([0-9a-f]{4})[0-9a-f]{8}")


def engine_id(paths: Paths) -> str:
    """The id on record, or the one that the kernel's objects of our containers and networks carry; empty: not known."""
    return read_id(paths.root) or _from_cgroups(paths) or _from_bridges(paths)


def read_id(root: str) -> str:
    """What the id file of a data root says; empty if it is missing or no id."""
    try:
        with open(f"{root}/engine-id", encoding="ascii") as stream:
            found = stream.read(64).strip()
    except (OSError, ValueError):
        return ""
    return found if _ID.fullmatch(found) else ""


def interfaces(paths: Paths, identity: str, names: Collection[str], tables: Iterable[str]) -> list[str]:
    """Those of the host's interfaces that are this engine's."""
    if not identity:
        return []
    networks = network_ids(paths)
    known = {naming.bridge_name(identity, network) for network in networks}
    groups = {naming.link_group(identity, network) for network in networks}
    known |= {name for name in names if kernelview.group(name) in groups}
    digits = identity[:4]
    shared = any(
        table.startswith(naming.table_name(digits)) and table != naming.table_name(identity) for table in tables
    )
    return sorted(name for name in names if name in known or (not shared and _digits(name) == digits))


def container_ids(paths: Paths) -> list[str]:
    """Ids of the containers on disk, readable or not."""
    return sorted(_objects(paths.containers))


def network_ids(paths: Paths) -> list[str]:
    """Ids of the networks on disk, those that were being removed too."""
    return sorted({*_objects(paths.networks), *_objects(paths.trash)})


def _objects(folder: str) -> set[str]:
    try:
        names = os.listdir(folder)
    except OSError:
        return set()
    return {name.partition(".")[0] for name in names if _OBJECT.fullmatch(name.partition(".")[0])}


def _from_cgroups(paths: Paths) -> str:
    containers = set(container_ids(paths))
    return next((name for name, inside in kernelview.engines() if containers & set(inside)), "")


def _from_bridges(paths: Paths) -> str:
    networks = {network[:8] for network in network_ids(paths)}
    matches = filter(None, map(_BRIDGE.fullmatch, kernelview.links()))
    digits = {match[1] for match in matches if match[2] in networks}
    begun = [
        table for table in kernelview.tables() if any(table.startswith(naming.table_name(each)) for each in digits)
    ]
    found = {table.removeprefix(naming.table_name("")) for table in begun}
    return found.pop() if len(found) == 1 else ""


def _digits(name: str) -> str:
    match = _BRIDGE.fullmatch(name) or _VETH.fullmatch(name)
    return match[1] if match else ""

"""The networks that are always there: `bridge`, `host` and `none`, as Docker tells of them.

None of them can be made or removed. `host` and `none` are no networks at all but ways to have none of one's own; the
bridge gets its addresses when the first container comes that asks for no network.
"""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, Any, Final

from runtime.engine.clock import rfc3339

if TYPE_CHECKING:
    from runtime.engine.engine import Engine

DRIVERS: Final = {"bridge": "bridge", "host": "host", "none": "null"}
"""Name to driver."""
NAMES: Final = frozenset({*DRIVERS, "default"})
"""Names that no other network may have."""


def listing(engine: Engine) -> list[dict[str, Any]]:
    """Those that have no record, in the form of `networks.inspect`."""
    recorded = {record.name for record in engine.networks.records.values()}
    return [_inspect(engine, name) for name in DRIVERS if name not in recorded]


def find(engine: Engine, wanted: str) -> dict[str, Any] | None:
    """By name, id or unique id prefix; None if there is no such one."""
    found = listing(engine)
    exact = [network for network in found if wanted in (network["Name"], network["Id"])]
    begun = [network for network in found if wanted and network["Id"].startswith(wanted)]
    return exact[0] if exact else begun[0] if len(begun) == 1 else None


def _inspect(engine: Engine, name: str) -> dict[str, Any]:
    return {
        "Id": hashlib.sha256(f"{engine.id}/{name}".encode()).hexdigest(),
        "Name": name,
        "Created": rfc3339(os.stat(f"{engine.paths.root}/engine-id").st_mtime_ns),
        "Driver": DRIVERS[name],
        "Scope": "local",
        "Internal": False,
        "Attachable": False,
        "EnableIPv4": name == "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": None},
        "Options": {},
        "Labels": {},
        "Containers": {
            item.record.id: {
                "Name": item.record.name,
                "EndpointID": "",
                "MacAddress": "",
                "IPv4Address": "",
                "IPv6Address": "",
            }
            for item in engine.containers.values()
            if item.running and item.record.host_config.get("NetworkMode") == name
        },
    }

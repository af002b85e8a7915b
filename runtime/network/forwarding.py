"""Turn IP forwarding on for as long as there are networks, and leave the host as it was.

A host that did not forward becomes a router for everybody the moment we turn it on: `enable` says so, and the firewall
then refuses what is not ours. What was changed is returned for the engine's record, since a crash must not lose it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.network.bridge import write_sysctl
from runtime.network.naming import PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

_IPV4 = "net/ipv4/ip_forward"
_IPV6 = "net/ipv6/conf/all/forwarding"


def enable(*, ipv6: bool = False) -> dict[str, str]:
    """Have the host forward; returns the former values of what had to be changed (empty: nothing)."""
    changed: dict[str, str] = {}
    for key in (_IPV4, _IPV6) if ipv6 else (_IPV4,):
        if _read(key) not in ("0", ""):
            continue
        if key == _IPV6:
            changed.update(_keep_router_advertisements())
        write_sysctl(key, "1")
        changed[key] = "0"
    return changed


def _keep_router_advertisements() -> dict[str, str]:
    """A forwarding host ignores router advertisements unless accept_ra is 2: it would lose its own default route."""
    changed: dict[str, str] = {}
    for name in sorted(os.listdir("/proc/sys/net/ipv6/conf")):
        key = f"net/ipv6/conf/{name}/accept_ra"
        if name not in ("all", "lo") and not name.startswith(PREFIX) and _read(key) == "1":
            write_sysctl(key, "2")
            changed[key] = "1"
    return changed


def restore(changed: dict[str, str], links: Iterable[str]) -> None:
    """Put back what `enable` changed, unless another engine of ours, seen by its bridges among `links`, is at work."""
    if any(name.startswith(PREFIX) for name in links):
        return
    for key, value in reversed(changed.items()):
        if os.path.exists(f"/proc/sys/{key}"):
            write_sysctl(key, value)


def _read(key: str) -> str:
    try:
        with open(f"/proc/sys/{key}") as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""

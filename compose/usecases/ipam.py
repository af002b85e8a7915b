"""Put the `--subnet`, `--gateway`, `--ip-range` and `--aux-address` of one network together, as Docker's command does.

They come as flat lists; which gateway and range belong to which subnet is found by the addresses.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network


def config(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], auxiliary: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Docker's `IPAM.Config`; raises ComposeError for what does not fit together."""
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise ComposeError("every ip-range or gateway must have a corresponding subnet")
    pools: dict[Subnet, dict[str, Any]] = {}
    for text in subnets:
        subnet = _network(text, "subnet")
        if any(subnet.version == other.version and subnet.overlaps(other) for other in pools):
            raise ComposeError("multiple overlapping subnet configuration is not supported")
        pools[subnet] = {"Subnet": text}
    for text in ranges:
        _assign(pools, _network(text, "ip-range").network_address, "range", "IPRange", text)
    for text in gateways:
        _assign(pools, _address(text, "gateway"), "gateway", "Gateway", text)
    for name, text in auxiliary.items():
        pool = _holder(pools, _address(text, "aux-address"), "aux-address", text)
        pool.setdefault("AuxiliaryAddresses", {})[name] = text
    return list(pools.values())


def _assign(pools: Mapping[Subnet, dict[str, Any]], address: Any, what: str, key: str, text: str) -> None:
    pool = _holder(pools, address, what, text)
    if key in pool:
        raise ComposeError(
            f"cannot configure multiple {what}s ({text}, {pool[key]}) on the same subnet ({pool['Subnet']})"
        )
    pool[key] = text


def _holder(pools: Mapping[Subnet, dict[str, Any]], address: Any, what: str, text: str) -> dict[str, Any]:
    for subnet, pool in pools.items():
        if address in subnet:
            return pool
    raise ComposeError(f"no matching subnet for {what} {text}")


def _network(text: str, what: str) -> Subnet:
    try:
        if "/" not in text:
            raise ValueError
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ComposeError(f"invalid {what} {text}: invalid CIDR block notation") from None


def _address(text: str, what: str) -> Any:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        raise ComposeError(f"no matching subnet for {what} {text}") from None

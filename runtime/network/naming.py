"""Names and numbers of what we make in the host's network namespace; all carry the engine's id.

Interface names have at most 15 characters. The group (IFLA_GROUP) of a network's bridge and veths lets one message
delete them all.
"""

from __future__ import annotations

import ipaddress
import os
import re
import zlib
from typing import TYPE_CHECKING

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "pyc"
"""Every bridge of every engine of ours begins with it."""
BRIDGE_OPTION = "com.docker.network.bridge.name"
INTERFACE_PREFIX_OPTION = "com.docker.network.container_iface_prefix"
BINDING_OPTION = "com.docker.network.bridge.host_binding_ipv4"
"""Driver options of a network: its bridge's own name, what the interfaces in its containers begin with, and the address
that ports are published on which name none."""
_LONGEST, _LONGEST_PREFIX = 15, 12
_INTERFACE = re.compile(r"[^\s/:\0]+")
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(?:\1[0-9a-fA-F]{2}){4}")


def bridge_name(engine_id: str, network_id: str) -> str:
    """`pyc` + 4 characters of the engine's id + 8 of the network's."""
    return f"{PREFIX}{engine_id[:4]}{network_id[:8]}"


def host_interface_name(engine_id: str, endpoint_id: str) -> str:
    """The host end of an endpoint's veth pair: `pyv` + 4 characters of the engine's id + 8 of the endpoint's."""
    return f"pyv{engine_id[:4]}{endpoint_id[:8]}"


def link_group(engine_id: str, network_id: str) -> int:
    """The group of a network's interfaces, never 0 (the default group of all interfaces)."""
    return zlib.crc32(f"{engine_id}/{network_id}".encode()) & 0x7FFFFFFF | 0x40000000


def table_name(engine_id: str) -> str:
    """The engine's nftables table, the same name in the families ip and ip6."""
    return f"pycompose_{engine_id}"


def check_options(options: Mapping[str, str], network: str) -> None:
    """Refuse names that the kernel would take for no interface, and what is no address; raises InvalidParameter."""
    for option, longest in ((BRIDGE_OPTION, _LONGEST), (INTERFACE_PREFIX_OPTION, _LONGEST_PREFIX)):
        text = options.get(option) or ""
        if text and (not _INTERFACE.fullmatch(text) or text in {".", ".."} or len(os.fsencode(text)) > longest):
            raise InvalidParameter(
                f"network {network}: option {option} is {text!r}, "
                f"expected 1 to {longest} characters without space, slash or colon"
            )
    address = options.get(BINDING_OPTION) or ""
    try:
        ipaddress.IPv4Address(address or "0.0.0.0")
    except ValueError:
        raise InvalidParameter(
            f"network {network}: option {BINDING_OPTION} is {address!r}, expected an IPv4 address"
        ) from None


def check_mac_address(text: str, network: str) -> None:
    """Refuse what cannot be the address of an interface on `network`; raises InvalidParameter, worded as Docker words it.

    The lowest bit of the first byte marks a group of receivers: the kernel takes no such address for an interface.
    """
    if not _MAC.fullmatch(text) or int(text[:2], 16) & 1 or not text.strip("0:-"):
        raise InvalidParameter(f"invalid config for network {network}: invalid MAC address {text}")


def mac_address(ipv4: str) -> str:
    """Docker's address for an endpoint: 02:42 and the IPv4 address, so that a reused address meets no stale ARP entry."""
    return "02:42:" + ":".join(f"{int(part):02x}" for part in ipv4.split("."))


def mac_address_of(seed: str) -> str:
    """A stable locally administered address for an endpoint or bridge without IPv4."""
    digest = zlib.crc32(seed.encode())
    return "02:42:" + digest.to_bytes(4, "big").hex(":")

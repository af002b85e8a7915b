"""Forget tracked connections, so that a changed published port takes effect for flows that never close (UDP).

A dump walks the kernel's whole hash table (5 to 20 ms): call from a thread, once for many ports. ctnetlink filters a dump
in the kernel (CTA_FILTER, Linux 5.8), but older kernels delete by a whole tuple only: entries are listed, then deleted
one by one with the tuple and id they were listed with.
"""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from runtime.linux.netlink import NLM_F_DUMP, Message, attribute, attributes, nested
from runtime.linux.nfnetlink import NFNL_SUBSYS_CTNETLINK, NetfilterSocket
from runtime.linux.rtnetlink import family_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

_GET = NFNL_SUBSYS_CTNETLINK << 8 | 1
_DELETE = NFNL_SUBSYS_CTNETLINK << 8 | 2
_CTA_TUPLE_ORIG, _CTA_TUPLE_REPLY, _CTA_ID, _CTA_FILTER = 1, 2, 12, 25
_CTA_TUPLE_IP, _CTA_TUPLE_PROTO = 1, 2
_CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 3
_CTA_FILTER_ORIG_FLAGS, _CTA_FILTER_REPLY_FLAGS = 1, 2
_SOURCE, _PROTOCOL = 1 << 0, 1 << 3
_SOURCE_ADDRESS = {int(socket.AF_INET): 1, int(socket.AF_INET6): 3}


def forget_ports(sock: NetfilterSocket, family: int, protocol: int, ports: Collection[int]) -> int:
    """Delete the connections that were opened to one of `ports`, at any address; returns how many."""
    wanted = nested(_CTA_TUPLE_PROTO, attribute(_CTA_PROTO_NUM, bytes((protocol,))))
    condition = nested(_CTA_TUPLE_ORIG, wanted) + _filter(_CTA_FILTER_ORIG_FLAGS, _PROTOCOL)
    found = _matching(sock, family, condition)
    return _delete(sock, family, [entry for port, entry in found if port in ports])


def forget_address(sock: NetfilterSocket, address: str) -> int:
    """Delete the connections from `address` and those that were sent on to it; returns how many."""
    family = family_of(address)
    raw = socket.inet_pton(family, address)
    entries: list[bytes] = []
    for tuple_kind, flags_kind in (
        (_CTA_TUPLE_ORIG, _CTA_FILTER_ORIG_FLAGS),
        (_CTA_TUPLE_REPLY, _CTA_FILTER_REPLY_FLAGS),
    ):
        wanted = nested(tuple_kind, nested(_CTA_TUPLE_IP, attribute(_SOURCE_ADDRESS[family], raw)))
        entries.extend(entry for _, entry in _matching(sock, family, wanted + _filter(flags_kind, _SOURCE)))
    return _delete(sock, family, entries)


def _filter(kind: int, flags: int) -> bytes:
    return nested(_CTA_FILTER, attribute(kind, flags.to_bytes(4, "little")))


def _matching(sock: NetfilterSocket, family: int, condition: bytes) -> Iterator[tuple[int, bytes]]:
    """(port the connection was opened to, what names the entry) of each match."""
    for _, body in sock.ask(_GET, NLM_F_DUMP, bytes((family, 0, 0, 0)) + condition, "tracked connections"):
        values = attributes(body[4:])
        original = values.get(_CTA_TUPLE_ORIG)
        if original is None:
            continue
        protocol = attributes(attributes(original).get(_CTA_TUPLE_PROTO, b""))
        port = int.from_bytes(protocol.get(_CTA_PROTO_DST_PORT, b""), "big")
        name = nested(_CTA_TUPLE_ORIG, original) + attribute(_CTA_ID, values.get(_CTA_ID, bytes(4)))
        yield port, name


def _delete(sock: NetfilterSocket, family: int, entries: list[bytes]) -> int:
    gone = (errno.ENOENT,)
    sock.run([Message(_DELETE, 0, bytes((family, 0, 0, 0)) + entry, "tracked connection", gone) for entry in entries])
    return len(entries)

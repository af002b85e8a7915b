"""Links, addresses and routes: messages for rtnetlink and what its dumps say.

A veth's peer is created straight into another network namespace (IFLA_NET_NS_FD inside VETH_INFO_PEER), but must not be
raised by the same message: veth_open() refuses an unpaired device. Deleting a link waits for an RCU grace period
(10 to 20 ms) per message, so links that go together share a group (IFLA_GROUP) and go by one message.
"""

from __future__ import annotations

import errno
import socket
import struct

from runtime.linux.netlink import (
    NETLINK_ROUTE,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Message,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    nested,
    text,
    u8,
    u32,
)

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26

IFF_UP = 0x1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_GROUP, IFLA_NET_NS_FD = 27, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
IFLA_BRPORT_MODE, IFLA_BRPORT_ISOLATED = 4, 33
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS = 1, 2, 4, 8
IFA_F_NODAD = 0x02
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RTN_UNICAST = 254, 3, 0, 253, 1
_RTM_F_CLONED = 0x200

_IFINFOMSG = struct.Struct("=BxHiII")
_IFADDRMSG = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")


class Link:
    """One network interface of the namespace that was asked."""

    __slots__ = ("address", "group", "index", "kind", "master", "name", "up")

    def __init__(self, body: bytes) -> None:
        _, _, index, flags, _ = _IFINFOMSG.unpack_from(body)
        found = attributes(body[16:])
        self.index: int = index
        self.up = bool(flags & IFF_UP)
        self.name = found.get(IFLA_IFNAME, b"").rstrip(b"\0").decode()
        self.address = found.get(IFLA_ADDRESS, b"").hex(":")
        self.group = _number(found.get(IFLA_GROUP, b""))
        self.master = _number(found.get(IFLA_MASTER, b""))
        self.kind = attributes(found.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode()


class Route:
    """One unicast route; `destination` is `address/prefix`, the default route's `0.0.0.0/0` or `::/0`."""

    __slots__ = ("destination", "device", "family", "gateway", "table")

    def __init__(self, body: bytes) -> None:
        family, length, _, _, table, _, _, _, _ = _RTMSG.unpack_from(body)
        found = attributes(body[12:])
        size = 4 if family == socket.AF_INET else 16
        address = socket.inet_ntop(family, found.get(RTA_DST, bytes(size)))
        gateway = found.get(RTA_GATEWAY)
        self.family: int = family
        self.destination = f"{address}/{length}"
        self.gateway = socket.inet_ntop(family, gateway) if gateway else ""
        self.device = _number(found.get(RTA_OIF, b""))
        self.table: int = _number(found.get(RTA_TABLE, b"")) or table


class Address:
    """One address of an interface."""

    __slots__ = ("address", "family", "index", "prefix")

    def __init__(self, body: bytes) -> None:
        family, prefix, _, _, index = _IFADDRMSG.unpack_from(body)
        found = attributes(body[8:])
        raw = found.get(IFA_LOCAL) or found[IFA_ADDRESS]
        self.family: int = family
        self.index: int = index
        self.prefix: int = prefix
        self.address = socket.inet_ntop(family, raw)


class RouteSocket(Netlink):
    """rtnetlink in the namespace it was opened in."""

    def __init__(self, fd: int | None = None) -> None:
        super().__init__(NETLINK_ROUTE, fd)

    def link(self, name: str) -> Link | None:
        """The interface called `name`, or None."""
        body = _ifinfo() + text(IFLA_IFNAME, name)
        try:
            return Link(self.ask(RTM_GETLINK, 0, body, name)[0][1])
        except NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise

    def links(self) -> list[Link]:
        """All interfaces."""
        return [
            Link(body) for kind, body in self.ask(RTM_GETLINK, NLM_F_DUMP, _ifinfo(), "links") if kind == RTM_NEWLINK
        ]

    def addresses(self) -> list[Address]:
        """All addresses of all interfaces, both families."""
        answers = self.ask(RTM_GETADDR, NLM_F_DUMP, _IFADDRMSG.pack(0, 0, 0, 0, 0), "addresses")
        return [
            Address(body)
            for kind, body in answers
            if kind == RTM_NEWADDR and body[0] in (socket.AF_INET, socket.AF_INET6)
        ]

    def routes(self) -> list[Route]:
        """The unicast routes of all tables, both families."""
        answers = self.ask(RTM_GETROUTE, NLM_F_DUMP, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0), "routes")
        return [
            Route(body)
            for kind, body in answers
            if kind == RTM_NEWROUTE
            and body[0] in (socket.AF_INET, socket.AF_INET6)
            and body[7] == RTN_UNICAST
            and not _number(body[8:12]) & _RTM_F_CLONED
        ]


def new_bridge(name: str, *, mac: str, mtu: int, group: int) -> Message:
    """Create a bridge, down. A fixed `mac` keeps it from changing whenever a port comes or goes."""
    body = _ifinfo() + b"".join(
        (
            text(IFLA_IFNAME, name),
            attribute(IFLA_ADDRESS, mac_bytes(mac)),
            u32(IFLA_MTU, mtu),
            u32(IFLA_GROUP, group),
            nested(IFLA_LINKINFO, attribute(IFLA_INFO_KIND, b"bridge")),
        )
    )
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"create bridge {name}")


def new_veth(
    name: str, peer: str, *, netns_fd: int, peer_mac: str, mtu: int, master: int, group: int, mac: str = ""
) -> Message:
    """Create `name`, up and a port of bridge `master`, and its peer `peer`, down, inside the namespace `netns_fd`."""
    peer_body = _ifinfo() + b"".join(
        (
            text(IFLA_IFNAME, peer),
            attribute(IFLA_ADDRESS, mac_bytes(peer_mac)),
            u32(IFLA_MTU, mtu),
            u32(IFLA_NET_NS_FD, netns_fd),
        )
    )
    body = _ifinfo(flags=IFF_UP, change=IFF_UP) + b"".join(
        (
            text(IFLA_IFNAME, name),
            attribute(IFLA_ADDRESS, mac_bytes(mac)) if mac else b"",
            u32(IFLA_MTU, mtu),
            u32(IFLA_MASTER, master) if master else b"",
            u32(IFLA_GROUP, group),
            nested(
                IFLA_LINKINFO,
                attribute(IFLA_INFO_KIND, b"veth"),
                nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, peer_body)),
            ),
        )
    )
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"create interface {name}")


def set_bridge_port(name: str, *, hairpin: bool, isolated: bool) -> Message:
    """Options of the bridge port `name`: send back where it came from; do not talk to other isolated ports."""
    data = u8(IFLA_BRPORT_MODE, hairpin) + u8(IFLA_BRPORT_ISOLATED, isolated)
    info = nested(
        IFLA_LINKINFO, attribute(IFLA_INFO_SLAVE_KIND, b"bridge"), attribute(IFLA_INFO_SLAVE_DATA | 0x8000, data)
    )
    return Message(RTM_NEWLINK, 0, _ifinfo() + text(IFLA_IFNAME, name) + info, f"set bridge port {name}")


def set_link_up(name: str = "", index: int = 0) -> Message:
    """Raise an interface given by name or by index."""
    body = _ifinfo(index=index, flags=IFF_UP, change=IFF_UP) + (text(IFLA_IFNAME, name) if name else b"")
    return Message(RTM_NEWLINK, 0, body, f"raise interface {name or index}")


def set_link_group(name: str, group: int) -> Message:
    """Put an interface into a group; one that is gone counts as done."""
    body = _ifinfo() + text(IFLA_IFNAME, name) + u32(IFLA_GROUP, group)
    return Message(RTM_NEWLINK, 0, body, f"set group of {name}", (errno.ENODEV,))


def delete_link(name: str) -> Message:
    """Delete one interface (10 to 20 ms); one that is gone counts as done."""
    return Message(RTM_DELLINK, 0, _ifinfo() + text(IFLA_IFNAME, name), f"delete interface {name}", (errno.ENODEV,))


def delete_group(group: int) -> Message:
    """Delete all interfaces of a group at the price of one; an empty group counts as done."""
    if not group:
        raise ValueError("group 0 holds every interface of the host")
    return Message(RTM_DELLINK, 0, _ifinfo() + u32(IFLA_GROUP, group), f"delete group {group}", (errno.ENODEV,))


def new_address(index: int, address: str, prefix: int) -> Message:
    """Give an interface an address. IPv6 goes without duplicate address detection: we assign, nobody else does."""
    family = family_of(address)
    raw = socket.inet_pton(family, address)
    body = _IFADDRMSG.pack(family, prefix, 0, 0, index) + attribute(IFA_LOCAL, raw) + attribute(IFA_ADDRESS, raw)
    if family == socket.AF_INET and prefix < 31:
        host_bits = (1 << (32 - prefix)) - 1
        body += attribute(IFA_BROADCAST, (int.from_bytes(raw, "big") | host_bits).to_bytes(4, "big"))
    if family == socket.AF_INET6:
        body += u32(IFA_FLAGS, IFA_F_NODAD)
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body, f"add address {address}/{prefix}")


def new_route(index: int, gateway: str, destination: str = "", prefix: int = 0, metric: int = 0) -> Message:
    """A route through `gateway` (empty: directly on the interface); without a destination the default route."""
    family = family_of(gateway or destination)
    scope = RT_SCOPE_UNIVERSE if gateway else RT_SCOPE_LINK
    body = _RTMSG.pack(family, prefix, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, scope, RTN_UNICAST, 0) + b"".join(
        (
            attribute(RTA_DST, socket.inet_pton(family, destination)) if destination else b"",
            attribute(RTA_GATEWAY, socket.inet_pton(family, gateway)) if gateway else b"",
            u32(RTA_OIF, index),
            u32(RTA_PRIORITY, metric) if metric else b"",
        )
    )
    what = f"add route {f'{destination}/{prefix}' if destination else 'default'} via {gateway or index}"
    return Message(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body, what)


def delete_default_route(family: int) -> Message:
    """Delete the default route of a family; none counts as done (ENOENT: an IPv6 table that never had a route)."""
    body = _RTMSG.pack(family, 0, 0, 0, RT_TABLE_MAIN, 0, RT_SCOPE_UNIVERSE, 0, 0)
    return Message(RTM_DELROUTE, 0, body, "delete default route", (errno.ESRCH, errno.ENOENT))


def family_of(address: str) -> int:
    """AF_INET or AF_INET6, by the look of an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def mac_bytes(mac: str) -> bytes:
    """`02:42:0a:00:00:02` or `02-42-0a-00-00-02` as six bytes."""
    return bytes.fromhex(mac.replace("-", "").replace(":", ""))


def _ifinfo(index: int = 0, flags: int = 0, change: int = 0) -> bytes:
    return _IFINFOMSG.pack(0, 0, index, flags, change)


def _number(raw: bytes) -> int:
    return struct.unpack("=I", raw)[0] if len(raw) == 4 else 0

"""nf_tables by hand-encoded nfnetlink messages, for what is too hot or too early for libnftables.

All changes between BATCH_BEGIN and BATCH_END are one transaction: one refusal undoes them all. The kernel has queued
every acknowledgement before send() returns, so reading them never blocks. Integers in attributes are big-endian.
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import TYPE_CHECKING

from runtime.linux.netlink import (
    NETLINK_NETFILTER,
    NLM_F_ACK,
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_REQUEST,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    encode,
    explanation,
    messages,
    nested,
    text,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END = 0x10, 0x11
NFNL_SUBSYS_CTNETLINK, NFNL_SUBSYS_NFTABLES = 1, 10
_NEWTABLE, _DELTABLE, _NEWCHAIN, _GETCHAIN, _NEWRULE = (NFNL_SUBSYS_NFTABLES << 8 | n for n in (0, 2, 3, 4, 6))
_NLMSG_ERROR = 2
_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES = 270, 1, 7

HOOKS = {0: "prerouting", 1: "input", 2: "forward", 3: "output", 4: "postrouting"}
_OUTPUT, _POSTROUTING = 3, 4
_PRIORITY_DNAT_OUTPUT, _PRIORITY_SNAT = -100, 100

_DNS_TABLE = "pycompose_dns"
_DNS_ADDRESS = socket.inet_aton("127.0.0.11")
_UDP_MARK, _TCP_MARK = b"\xa5\x5a", b"\x5a\xa5"


class BaseChain:
    """A chain that hangs on a netfilter hook; `family` is AF_INET, AF_INET6 or 1 (inet)."""

    __slots__ = ("family", "hook", "name", "policy_drop", "table")

    def __init__(self, family: int, table: str, name: str, hook: str, policy_drop: bool) -> None:
        self.family = family
        self.table = table
        self.name = name
        self.hook = hook
        self.policy_drop = policy_drop


class Chain:
    """A chain without a hook."""

    __slots__ = ("family", "name", "table")

    def __init__(self, family: int, table: str, name: str) -> None:
        self.family = family
        self.table = table
        self.name = name


class NetfilterSocket(Netlink):
    """nfnetlink in the namespace it was opened in."""

    def __init__(self, fd: int | None = None) -> None:
        super().__init__(NETLINK_NETFILTER, fd)

    def transaction(self, batch: bytes, last: int, what: str) -> None:
        """Send an encoded batch whose final change has the sequence number `last`; all or nothing."""
        self.sock.send(batch)
        while True:
            try:
                data = self.sock.recv(1 << 16, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            for kind, flags, sequence, body in messages(data):
                if kind != _NLMSG_ERROR:
                    continue
                code = -struct.unpack_from("=i", body)[0]
                if code:
                    self._drain()
                    raise NetlinkError("nftables", code, what, explanation(flags, body))
                if sequence == last:
                    return

    def _drain(self) -> None:
        try:
            while self.sock.recv(1 << 16, socket.MSG_DONTWAIT):
                pass
        except BlockingIOError:
            return

    def subscribe(self) -> None:
        """Have the kernel report every change of nftables in this namespace to this socket; do not ask on it any more."""
        self.sock.setblocking(False)
        self.sock.setsockopt(_SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, _NFNLGRP_NFTABLES)

    def deleted_tables(self) -> set[str] | None:
        """The names of tables deleted since the last call, or None when the kernel's reports overflowed."""
        names: set[str] = set()
        while True:
            try:
                data = self.sock.recv(1 << 16)
            except BlockingIOError:
                return names
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    return None
                raise
            names.update(_string(attributes(body[4:])[1]) for kind, _, _, body in messages(data) if kind == _DELTABLE)

    def chains(self) -> list[BaseChain | Chain]:
        """All chains of all tables, as they are now."""
        found: list[BaseChain | Chain] = []
        for _, body in self.ask(_GETCHAIN, NLM_F_DUMP, _nfgenmsg(0), "chains"):
            values = attributes(body[4:])
            family, table, name = body[0], _string(values[1]), _string(values[3])
            if 4 not in values:
                found.append(Chain(family, table, name))
                continue
            hook = int.from_bytes(attributes(values[4])[1], "big")
            drop = 5 in values and int.from_bytes(values[5], "big") == 0
            found.append(BaseChain(family, table, name, HOOKS.get(hook, str(hook)), drop))
        return found


def encode_batch(changes: Sequence[tuple[int, int, bytes]]) -> bytes:
    """A transaction from (type, flags, body); the sequence numbers are 1, 2, ... and only the last is acknowledged."""
    parts = [encode(NFNL_MSG_BATCH_BEGIN, NLM_F_REQUEST, 0, _nfgenmsg(0, NFNL_SUBSYS_NFTABLES))]
    for number, (kind, flags, body) in enumerate(changes, 1):
        acknowledge = NLM_F_ACK if number == len(changes) else 0
        parts.append(encode(kind, flags | acknowledge | NLM_F_REQUEST, number, body))
    parts.append(encode(NFNL_MSG_BATCH_END, NLM_F_REQUEST, 0, _nfgenmsg(0, NFNL_SUBSYS_NFTABLES)))
    return b"".join(parts)


def redirect_dns(sock: NetfilterSocket, udp_port: int, tcp_port: int, *, replace: bool = False) -> None:
    """Send 127.0.0.11:53 of this namespace to the given ports of the same address.

    `replace` an older redirect only where there may be one: whatever deletes a table waits for earlier deletions (8 ms).
    """
    template, last = _dns_template(replace)
    batch = template.replace(_UDP_MARK, udp_port.to_bytes(2, "big")).replace(_TCP_MARK, tcp_port.to_bytes(2, "big"))
    sock.transaction(batch, last, "redirect 127.0.0.11:53")


_dns_templates: dict[bool, tuple[bytes, int]] = {}


def _dns_template(replace: bool) -> tuple[bytes, int]:
    """The batch with marks for ports: encoding it anew would cost as much as the kernel takes to carry it out."""
    if replace not in _dns_templates:
        changes = dns_redirect_changes(_UDP_MARK, _TCP_MARK, replace=replace)
        _dns_templates[replace] = encode_batch(changes), len(changes)
    return _dns_templates[replace]


def dns_redirect_changes(udp_port: bytes, tcp_port: bytes, *, replace: bool) -> list[tuple[int, int, bytes]]:
    """The redirect as changes: DNAT on the way out; SNAT for answers later than their conntrack entry lives."""
    family = _nfgenmsg(socket.AF_INET)
    table = family + text(1, _DNS_TABLE)
    create, delete = (_NEWTABLE, NLM_F_CREATE, table), (_DELTABLE, 0, table)
    # deleting needs one to be there, so a missing table is made first
    changes = [create, delete, create] if replace else [create]
    for name, hook, priority in (
        ("output", _OUTPUT, _PRIORITY_DNAT_OUTPUT),
        ("postrouting", _POSTROUTING, _PRIORITY_SNAT),
    ):
        hooked = nested(4, _be32(1, hook), attribute(2, struct.pack(">i", priority)))
        changes.append(
            (_NEWCHAIN, NLM_F_CREATE, family + text(1, _DNS_TABLE) + text(3, name) + hooked + text(7, "nat"))
        )
    dns = (53).to_bytes(2, "big")
    for protocol, port in ((socket.IPPROTO_UDP, udp_port), (socket.IPPROTO_TCP, tcp_port)):
        out = (_match_address(16), _match_protocol(protocol), _match_port(2, dns), *_nat(1, port))
        back = (_match_address(12), _match_protocol(protocol), _match_port(0, port), *_nat(0, dns))
        changes.extend(
            ((_NEWRULE, _RULE_FLAGS, _rule("output", *out)), (_NEWRULE, _RULE_FLAGS, _rule("postrouting", *back)))
        )
    return changes


_RULE_FLAGS = NLM_F_CREATE | NLM_F_APPEND


def _rule(chain: str, *expressions: bytes) -> bytes:
    return _nfgenmsg(socket.AF_INET) + text(1, _DNS_TABLE) + text(2, chain) + nested(4, *expressions)


def _expression(name: str, *values: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *values))


def _compare(value: bytes) -> bytes:
    return _expression("cmp", _be32(1, 1), _be32(2, 0), nested(3, attribute(1, value)))


def _match_address(offset: int) -> bytes:
    """The IPv4 source (12) or destination (16) is 127.0.0.11."""
    return _expression("payload", _be32(1, 1), _be32(2, 1), _be32(3, offset), _be32(4, 4)) + _compare(_DNS_ADDRESS)


def _match_protocol(protocol: int) -> bytes:
    return _expression("meta", _be32(1, 1), _be32(2, 16)) + _compare(bytes((protocol,)))


def _match_port(offset: int, port: bytes) -> bytes:
    """The source (0) or destination (2) port."""
    return _expression("payload", _be32(1, 1), _be32(2, 2), _be32(3, offset), _be32(4, 2)) + _compare(port)


def _nat(kind: int, port: bytes) -> tuple[bytes, ...]:
    """SNAT (0) or DNAT (1) to 127.0.0.11:port."""
    return (
        _expression("immediate", _be32(1, 1), nested(2, attribute(1, _DNS_ADDRESS))),
        _expression("immediate", _be32(1, 2), nested(2, attribute(1, port))),
        _expression("nat", _be32(1, kind), _be32(2, socket.AF_INET), _be32(3, 1), _be32(5, 2)),
    )


def _nfgenmsg(family: int, resource: int = 0) -> bytes:
    return struct.pack(">BBH", family, 0, resource)


def _be32(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "big"))


def _string(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode(errors="replace")

"""List TCP sockets that no process has any more and destroy them, by sock_diag in the namespace it was opened in.

A closed socket lives on until its peer has agreed, and holds its local port against a program that does not set
SO_REUSEADDR. Only one whose peer has acknowledged all but the FIN is destroyed: nothing can be lost by that, and kernels
before 6.12 purge the queue of the others but leave the sockets, for ever (tcp_abort).
"""

from __future__ import annotations

import errno
import socket
import struct
from typing import NamedTuple

from runtime.linux.netlink import NLM_F_DUMP, Message, Netlink

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY, _SOCK_DESTROY = 20, 21
_FIN_WAIT1, _FIN_WAIT2, _TIME_WAIT, _LAST_ACK, _CLOSING = 4, 5, 6, 9, 11
_CLOSED_HERE = sum(1 << state for state in (_FIN_WAIT1, _FIN_WAIT2, _TIME_WAIT, _LAST_ACK, _CLOSING))
"""States of a socket that this side has closed. One without an inode in another state waits to be accepted."""
_FIN = 1
"""What a FIN takes up in the queue of what is not acknowledged."""
_HARMLESS = (errno.ENOENT, errno.EOPNOTSUPP)
"""It is gone by itself, or the kernel cannot (CONFIG_INET_DIAG_DESTROY): what is left is counted afterwards."""

_REQUEST = struct.Struct("=BBxxI48s")
"""inet_diag_req_v2: family, protocol, states; the socket's id (ports, addresses, interface, cookie)."""
_ANSWER = struct.Struct("=B3x48sIIIII")
"""inet_diag_msg: family; the id; expiry, receive and send queue, user, inode."""


class _Orphan(NamedTuple):
    family: int
    identity: bytes
    unacknowledged: int


class DiagSocket(Netlink):
    """sock_diag in the namespace it was opened in. To destroy needs CAP_NET_ADMIN there."""

    def __init__(self) -> None:
        super().__init__(_NETLINK_SOCK_DIAG)

    def destroy_orphans(self) -> int:
        """Destroy the orphaned TCP sockets whose peer has all that was sent; returns how many orphans are left.

        Raises NetlinkError from a kernel without sock_diag (CONFIG_INET_TCP_DIAG).
        """
        orphans = self._orphans()
        batch = [_destroy(orphan) for orphan in orphans if orphan.unacknowledged <= _FIN]
        if not batch:
            return len(orphans)
        self.run(batch)
        return len(self._orphans())

    def _orphans(self) -> list[_Orphan]:
        found = []
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _REQUEST.pack(family, socket.IPPROTO_TCP, _CLOSED_HERE, bytes(48))
            for _, body in self.ask(_SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, request, "tcp sockets"):
                _, identity, _, _, unacknowledged, _, inode = _ANSWER.unpack_from(body)
                if not inode:
                    found.append(_Orphan(family, identity, unacknowledged))
        return found


def _destroy(orphan: _Orphan) -> Message:
    body = _REQUEST.pack(orphan.family, socket.IPPROTO_TCP, 0, orphan.identity)
    return Message(_SOCK_DESTROY, 0, body, "destroy socket", _HARMLESS)

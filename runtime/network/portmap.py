"""Reserve published ports by binding them on the host, and say who holds a taken one.

The bound socket is the reservation: it keeps others out, survives the engine in the zygote's store, and serves what the
firewall's DNAT does not catch. IPv4 and IPv6 are separate sockets (IPV6_V6ONLY), as Docker publishes them.
"""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass, field

from runtime.errors import Conflict, InvalidParameter, SyscallError
from runtime.network.portholder import holder_of

ANY_IPV4, ANY_IPV6 = "0.0.0.0", "::"
_EPHEMERAL_ATTEMPTS = 16
_NO_SUCH_FAMILY = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EPFNOSUPPORT)
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}


@dataclass(kw_only=True)
class Reservation:
    """One bound (and for TCP listening) socket, non-blocking."""

    protocol: str
    host_ip: str
    host_port: int
    sock: socket.socket = field(repr=False)

    @property
    def key(self) -> str:
        """The name under which the descriptor is stored: `port/tcp/0.0.0.0/8080`."""
        return f"port/{self.protocol}/{self.host_ip}/{self.host_port}"


def adopt(key: str, fd: int) -> Reservation:
    """The reservation that was stored under `key`; owns `fd`."""
    _, protocol, host_ip, port = key.split("/")
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return Reservation(protocol=protocol, host_ip=host_ip, host_port=int(port), sock=sock)


def parse_ports(text: str) -> range:
    """`8080`, `8000-8010`, or empty (range(0, 1): the kernel chooses). Raises InvalidParameter."""
    first, dash, last = text.partition("-")
    try:
        low = int(first or "0")
        high = int(last) if dash else low
    except ValueError:
        raise InvalidParameter(f"host port {text!r} is not a number or a range") from None
    if not 0 <= low <= high <= 65535 or (dash and low == 0):
        raise InvalidParameter(f"host port {text!r} is not within 1-65535")
    return range(low, high + 1)


def reserve(protocol: str, host_ip: str, ports: range) -> list[Reservation]:
    """Bind the first port of `ports` that is free on `host_ip`; without an address on both 0.0.0.0 and ::.

    Raises Conflict naming the holder when none is free, InvalidParameter for an address this host does not have.
    """
    if protocol not in _TYPES:
        raise InvalidParameter(f"protocol {protocol!r} cannot be published, only tcp and udp")
    addresses = [host_ip] if host_ip else [ANY_IPV4, ANY_IPV6]
    attempts = [0] * _EPHEMERAL_ATTEMPTS if ports == range(1) else ports
    taken: tuple[str, int] = (addresses[0], ports[0])
    for port in attempts:
        done = _bind_all(protocol, addresses, port)
        if isinstance(done, list):
            return done
        taken = done
    return _refuse(protocol, addresses, ports, taken)


def _refuse(protocol: str, addresses: list[str], ports: range, taken: tuple[str, int]) -> list[Reservation]:
    address, port = taken
    if len(ports) > 1:
        raise Conflict(
            f"Bind for {_at(addresses[0], ports[0])}-{ports[-1]} failed: all ports are already allocated",
            ports=[ports[0], ports[-1]],
        )
    holder = holder_of(protocol, address, port)
    raise Conflict(
        f"Bind for {_at(address, port)} failed: port is already allocated" + (f" by {holder}" if holder else ""),
        port=port,
        protocol=protocol,
        holder=holder,
    )


def _bind_all(protocol: str, addresses: list[str], port: int) -> list[Reservation] | tuple[str, int]:
    """Reservations of one port on all addresses, or the (address, port) that is taken."""
    done: list[Reservation] = []
    for address in addresses:
        # the second address follows the choice the kernel made for the first
        number = done[0].host_port if done else port
        try:
            sock = _bind(protocol, address, number)
        except OSError as error:
            if error.errno in _NO_SUCH_FAMILY and len(addresses) > 1 and address == ANY_IPV6:
                continue
            for reservation in done:
                reservation.sock.close()
            if error.errno == errno.EADDRINUSE:
                return address, number
            raise _refusal(error, address, number) from error
        done.append(Reservation(protocol=protocol, host_ip=address, host_port=sock.getsockname()[1], sock=sock))
    return done


def _refusal(error: OSError, address: str, port: int) -> Exception:
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidParameter(f"host address {address} of port {port}: this host has no such address")
    return SyscallError("bind", error.errno or 0, _at(address, port))


def _bind(protocol: str, address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, _TYPES[protocol] | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            # connections in TIME_WAIT of the container before do not stand in the way
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        if protocol == "tcp":
            sock.listen(1024)
    except OSError:
        sock.close()
        raise
    return sock


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


@dataclass
class _Shared:
    group: str
    owners: dict[str, None]
    reservation: Reservation


class PortTable:
    """The engine's reservations and who uses them. Owners of one group share a fixed port; others are refused."""

    def __init__(self) -> None:
        self._by_key: dict[str, _Shared] = {}

    def acquire(self, owner: str, group: str, protocol: str, host_ip: str, ports: range) -> list[Reservation]:
        """Reserve for `owner`, or join what its `group` (if not empty) reserved; raises as `reserve`, naming owners."""
        if len(ports) == 1 and ports[0]:
            joined = self._join(owner, group, protocol, host_ip, ports[0])
            if joined:
                return joined
        reservations = reserve(protocol, host_ip, ports)
        for reservation in reservations:
            self._by_key[reservation.key] = _Shared(group, {owner: None}, reservation)
        return reservations

    def _join(self, owner: str, group: str, protocol: str, host_ip: str, port: int) -> list[Reservation]:
        wanted = [host_ip] if host_ip else [ANY_IPV4, ANY_IPV6]
        found = []
        for address in wanted:
            shared = self._by_key.get(f"port/{protocol}/{address}/{port}")
            if shared is None:
                continue
            if owner not in shared.owners and (not group or shared.group != group):
                names = ", ".join(shared.owners)
                raise Conflict(
                    f"Bind for {_at(address, port)} failed: port is already allocated by {names}",
                    port=port,
                    protocol=protocol,
                    holder=names,
                )
            found.append(shared)
        for shared in found:
            shared.owners[owner] = None
        return [shared.reservation for shared in found]

    def adopt(self, owner: str, group: str, reservation: Reservation) -> Reservation:
        """Take up a reservation that outlived its engine, or join it if it was taken up; returns the one that counts."""
        shared = self._by_key.setdefault(reservation.key, _Shared(group, {}, reservation))
        shared.owners[owner] = None
        if shared.reservation is not reservation:
            reservation.sock.close()
        return shared.reservation

    def held(self, key: str) -> bool:
        """Whether `key` is reserved here."""
        return key in self._by_key

    def release(self, owner: str) -> list[str]:
        """`owner` is done: close what nobody else uses, and return its keys (to be dropped from the store too)."""
        keys = [key for key, shared in self._by_key.items() if owner in shared.owners]
        freed = []
        for key in keys:
            shared = self._by_key[key]
            del shared.owners[owner]
            if not shared.owners:
                del self._by_key[key]
                shared.reservation.sock.close()
                freed.append(key)
        return freed

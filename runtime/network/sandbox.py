"""Make the network namespace of a sandbox, and clear it: loopback, DNS sockets, DNS redirect, Docker's sysctls.

Runs in the zygote, which must be single-threaded: the calling thread moves into the namespace and back. Files below
/proc/sys/net are those of the namespace of whoever opens them. A socket keeps its namespace, and keeps it alive.
"""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runtime.errors import SyscallError
from runtime.linux.nfnetlink import NetfilterSocket, redirect_dns
from runtime.linux.rtnetlink import RouteSocket, set_link_up
from runtime.linux.sockdiag import DiagSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.linux.syscalls import Kernel

_CLONE_NEWNET = 0x40000000
DNS_ADDRESS = "127.0.0.11"

SYSCTLS = (
    ("net/ipv4/ip_unprivileged_port_start", "0"),
    ("net/ipv4/ping_group_range", "0 2147483647"),
    # interfaces made later start without IPv6; the loopback keeps ::1, an endpoint with IPv6 switches its own on
    ("net/ipv6/conf/default/disable_ipv6", "1"),
    ("net/ipv6/conf/default/accept_ra", "0"),
)
"""What every sandbox starts with, before the container's own `sysctls`."""


class Sandbox:
    """Descriptors of a sandbox, owned by whoever holds the object. Without DNS the sockets are None and the ports 0."""

    __slots__ = ("dns_tcp", "dns_udp", "netns", "rtnl", "tcp_port", "udp_port")

    def __init__(self, netns: int, rtnl: RouteSocket) -> None:
        self.netns = netns
        self.rtnl = rtnl
        self.dns_udp: socket.socket | None = None
        self.dns_tcp: socket.socket | None = None
        self.udp_port = 0
        self.tcp_port = 0

    def fds(self) -> list[int]:
        """In the order of the zygote's answer: netns, rtnetlink, DNS over UDP, DNS over TCP."""
        fds = [self.netns, self.rtnl.fileno()]
        fds.extend(sock.fileno() for sock in (self.dns_udp, self.dns_tcp) if sock is not None)
        return fds

    def close(self) -> None:
        """Close all; the namespace goes with the last descriptor and process in it."""
        os.close(self.netns)
        for sock in (self.rtnl, self.dns_udp, self.dns_tcp):
            if sock is not None:
                sock.close()


def make(kernel: Kernel, *, dns: bool, netns_fd: int | None = None) -> Sandbox:
    """A sandbox in a new network namespace, or in the existing one `netns_fd` (not closed), replacing its DNS redirect.

    Raises SyscallError; the caller's own namespace is joined again in any case.
    """
    with _inside(kernel, netns_fd):
        return _furnish(dns=dns, existing=netns_fd is not None)


def clear(kernel: Kernel, netns_fd: int) -> int:
    """Destroy the TCP sockets that ended programs left in the namespace; how many there are still. Raises SyscallError.

    As a new namespace would not have them: a server that does not set SO_REUSEADDR could not bind its port again.
    """
    with _inside(kernel, netns_fd):
        diag = DiagSocket()
    try:
        return diag.destroy_orphans()
    finally:
        diag.close()


@contextmanager
def _inside(kernel: Kernel, netns_fd: int | None) -> Iterator[None]:
    """Live in the namespace, a new one if none is given, and come back."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if netns_fd is None:
            kernel.unshare(_CLONE_NEWNET)
        else:
            kernel.setns(netns_fd, _CLONE_NEWNET)
        try:
            yield
        except OSError as error:
            raise SyscallError("sandbox", error.errno or 0, error.filename or "") from error
        finally:
            kernel.setns(home, _CLONE_NEWNET)
    finally:
        os.close(home)


def _furnish(*, dns: bool, existing: bool) -> Sandbox:
    netns = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    sandbox = Sandbox(netns, RouteSocket())
    try:
        if not existing:
            _write_sysctls()
        sandbox.rtnl.run([set_link_up(index=1)])
        if dns:
            _open_dns(sandbox, existing)
    except BaseException:
        sandbox.close()
        raise
    return sandbox


def _write_sysctls() -> None:
    for key, value in SYSCTLS:
        try:
            fd = os.open(f"/proc/sys/{key}", os.O_WRONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue  # a kernel without IPv6
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)


def _open_dns(sandbox: Sandbox, existing: bool) -> None:
    sandbox.dns_udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    sandbox.dns_udp.bind((DNS_ADDRESS, 0))
    sandbox.dns_tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    sandbox.dns_tcp.bind((DNS_ADDRESS, 0))
    sandbox.dns_tcp.listen(64)
    sandbox.udp_port = sandbox.dns_udp.getsockname()[1]
    sandbox.tcp_port = sandbox.dns_tcp.getsockname()[1]
    # not bound to port 53 itself: that would take 0.0.0.0:53 from the container
    netfilter = NetfilterSocket()
    try:
        redirect_dns(netfilter, sandbox.udp_port, sandbox.tcp_port, replace=existing)
    finally:
        netfilter.close()

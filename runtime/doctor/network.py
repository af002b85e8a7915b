"""Networks: links and nftables, tried in a network namespace of a child; the host's own firewall is only looked at."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Final

from runtime.doctor.findings import Finding, must, should
from runtime.errors import EngineError
from runtime.linux import constants as c
from runtime.linux import rtnetlink
from runtime.linux.hostfacts import read_text
from runtime.linux.nfnetlink import NetfilterSocket
from runtime.linux.nft import LibNftables, open_nft
from runtime.linux.syscalls import KERNEL
from runtime.linux.trial import attempt
from runtime.network import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runtime.linux.hostfacts import HostFacts
    from runtime.linux.nfnetlink import BaseChain, Chain

_RULES: Final = """
add table ip pycompose_doctor
add map ip pycompose_doctor ports { type inet_service : ipv4_addr . inet_service ; }
add chain ip pycompose_doctor in { type nat hook prerouting priority dstnat ; }
add rule ip pycompose_doctor in dnat ip to tcp dport map @ports
add chain ip pycompose_doctor out { type nat hook postrouting priority srcnat ; }
add rule ip pycompose_doctor out masquerade
add chain ip pycompose_doctor pass { type filter hook forward priority filter ; policy accept ; }
add rule ip pycompose_doctor pass ct state established,related accept
"""
_MAC: Final = "02:42:00:00:00:01"


def check(facts: HostFacts) -> Iterator[Finding]:
    """All findings of this module."""
    extra = c.CLONE_NEWUSER if facts.rootless else 0
    yield must(
        "bridge and veth",
        attempt(lambda: _make_links(extra)),
        "can be made",
        "load the modules bridge and veth (modprobe bridge veth)",
    )
    yield nftables(extra)
    yield forwarding(facts)
    yield from firewalls(facts, _chains())
    yield nameservers()


def nftables(extra: int = 0) -> Finding:
    """A way to nftables, and a kernel that knows the rules we make."""
    ways = []
    try:
        LibNftables()
        ways.append("libnftables")
    except OSError:
        pass
    if shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"):
        ways.append("nft")
    if not ways:
        return must("nftables", "neither libnftables.so.1 nor nft is installed", "", "install nftables", "nftables")
    problem = attempt(lambda: _make_rules(extra))
    advice = "load the modules nf_tables, nft_chain_nat, nft_masq and nft_ct (modprobe nf_tables)"
    return must("nftables", problem, f"works by {' or '.join(ways)}", advice, "nftables")


def forwarding(facts: HostFacts) -> Finding:
    """Whether the host forwards packets already."""
    return must("ip_forward", None, "on" if facts.ip_forward else "off; switched on while there are networks")


def firewalls(facts: HostFacts, chains: Sequence[BaseChain | Chain] | None) -> Iterator[Finding]:
    """Other owners of forwarded traffic: Docker, and whatever drops what we would let pass."""
    if chains is None:
        yield should("other firewalls", "cannot be listed", "", "run as root to see them")
        return
    tables = {chain.table for chain in chains}
    names = {chain.name for chain in chains}
    culprits = foreign.culprits(chains)
    owners = [
        owner
        for owner, present in (
            ("docker", "DOCKER-USER" in names),
            ("ufw", any(name.startswith("ufw-") for name in names)),
            ("firewalld", "firewalld" in tables),
        )
        if present
    ]
    shown = f"{', '.join(owners)}: nothing stands in our way" if owners else "none"
    advice = "accept forwarded traffic of the bridges pyc* there, or containers reach nothing outside"
    yield should("other firewalls", "; ".join(culprits) or None, shown, advice)
    if "DOCKER-USER" in names or facts.docker:
        yield must("docker", None, "present; each bridge of ours gets an exception in its chain DOCKER-USER")
    if facts.bridge_nf:
        yield must("br_netfilter", None, "loaded: bridged packets pass the firewall, our rules accept them")


def nameservers() -> Finding:
    """Where the containers' questions about the outside go."""
    words = [line.split() for line in read_text("/etc/resolv.conf").splitlines()]
    servers = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    problem = None if servers else "/etc/resolv.conf names no server"
    return should("name servers", problem, ", ".join(servers), "names outside are not found; set dns: in the project")


def _chains() -> list[BaseChain | Chain] | None:
    try:
        sock = NetfilterSocket()
    except OSError:
        return None
    try:
        return sock.chains()
    except (EngineError, OSError):
        return None
    finally:
        sock.close()


def _make_links(extra: int) -> None:
    KERNEL.unshare(c.CLONE_NEWNET | extra)
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    route = rtnetlink.RouteSocket()
    route.run([rtnetlink.new_bridge("br0", mac=_MAC, mtu=1500, group=7)])
    bridge = route.link("br0")
    if bridge is None:
        raise RuntimeError("the bridge is not there")
    route.run([rtnetlink.new_veth("v0", "v1", netns_fd=here, peer_mac=_MAC, mtu=1500, master=bridge.index, group=7)])


def _make_rules(extra: int) -> None:
    KERNEL.unshare(c.CLONE_NEWNET | extra)
    open_nft().run(_RULES)

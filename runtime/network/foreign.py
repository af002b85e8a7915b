"""Other people's firewalls that stand in our way: one rule where the owner provides a chain for it, else a name.

Docker sets the policy of the FORWARD chain to drop, and a drop is final whatever our own table says. DOCKER-USER is the
chain it keeps for others and never touches: each bridge of ours is accepted there, after the user's own rules, and the
rule goes with the bridge. Nothing else foreign is ever changed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from runtime.errors import SystemFailure
from runtime.linux.nfnetlink import BaseChain

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from runtime.linux.nfnetlink import Chain
    from runtime.linux.nft import Nft

_FAMILY_NAMES = {1: "inet", 2: "ip", 10: "ip6"}
_TABLE, _CHAIN = "filter", "DOCKER-USER"
_ACCEPT = re.compile(
    r'^\s*([io])ifname "([^"]+)" (?:counter packets \d+ bytes \d+ )?accept # handle (\d+)$', re.MULTILINE
)
_RETURN = re.compile(r"^\s*(?:counter packets \d+ bytes \d+ )?return # handle (\d+)$", re.MULTILINE)


def accept_bridges(nft: Nft, chains: Sequence[BaseChain | Chain], bridges: Collection[str]) -> None:
    """Have Docker's firewall let the traffic of `bridges` pass. Idempotent; without Docker nothing happens."""
    for family in _docker_families(chains, blocking=True):
        listing = nft.run(f"list chain {family} {_TABLE} {_CHAIN}")
        present = {(side, name) for side, name, _ in _ACCEPT.findall(listing)}
        end = _RETURN.search(listing)
        place = (
            f"insert rule {family} {_TABLE} {_CHAIN} position {end[1]}"
            if end
            else f"add rule {family} {_TABLE} {_CHAIN}"
        )
        missing = [(side, name) for name in sorted(bridges) for side in "io" if (side, name) not in present]
        if missing:
            nft.run("\n".join(f'{place} {side}ifname "{name}" counter accept' for side, name in missing))


def forget_bridges(nft: Nft, chains: Sequence[BaseChain | Chain], bridges: Collection[str]) -> None:
    """Take our rules for `bridges` out of Docker's chain again."""
    for family in _docker_families(chains, blocking=False):
        listing = nft.run(f"list chain {family} {_TABLE} {_CHAIN}")
        handles = [handle for _, name, handle in _ACCEPT.findall(listing) if name in bridges]
        if handles:
            nft.run("\n".join(f"delete rule {family} {_TABLE} {_CHAIN} handle {handle}" for handle in handles))


def accepted_bridges(nft: Nft, chains: Sequence[BaseChain | Chain]) -> set[str]:
    """The interfaces that have an exception in Docker's chain, whoever made it."""
    return {
        name
        for family in _docker_families(chains, blocking=False)
        for _, name, _ in _ACCEPT.findall(nft.run(f"list chain {family} {_TABLE} {_CHAIN}"))
    }


def culprits(chains: Sequence[BaseChain | Chain]) -> list[str]:
    """The foreign chains whose policy drops forwarded packets and that we have no way to ask for an exception.

    Each as text for a warning: `chain FORWARD of table ip filter drops forwarded packets by default`.
    """
    handled = set(_docker_families(chains, blocking=True))
    return [
        f"chain {chain.name} of table {family} {chain.table} drops forwarded packets by default"
        for chain in chains
        if isinstance(chain, BaseChain) and chain.hook == "forward" and chain.policy_drop
        if not ((family := _FAMILY_NAMES.get(chain.family, str(chain.family))) in handled and chain.table == _TABLE)
    ]


def _docker_families(chains: Sequence[BaseChain | Chain], *, blocking: bool) -> list[str]:
    """The families in which Docker keeps its chain; `blocking`: and has a FORWARD policy of drop."""
    names = {(chain.family, chain.table, chain.name) for chain in chains}
    dropping = {
        chain.family
        for chain in chains
        if isinstance(chain, BaseChain) and chain.table == _TABLE and chain.hook == "forward" and chain.policy_drop
    }
    return [
        name
        for number, name in _FAMILY_NAMES.items()
        if (number, _TABLE, _CHAIN) in names and (number in dropping or not blocking)
    ]


def try_accept_bridges(nft: Nft, chains: Sequence[BaseChain | Chain], bridges: Collection[str]) -> str:
    """As `accept_bridges`, but a refusal becomes text for a warning: Docker's chain may vanish under our hands."""
    try:
        accept_bridges(nft, chains, bridges)
    except SystemFailure as error:
        return f"docker's firewall: cannot add an exception for {', '.join(sorted(bridges))} ({error.message})"
    return ""

"""Names of networks and what a container sees of them. Pure: no socket, no clock.

A zone is a network's names; a view is the zones of one container's networks, so that nothing leaks from a network it is
not on. Names are case-insensitive and kept in lower case. Each name holds its endpoints in order of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class Zone:
    """The names on one network."""

    def __init__(self, network_id: str, name: str, *, internal: bool = False) -> None:
        self.network_id = network_id
        self.name = name.lower()
        self.internal = internal
        self._endpoints: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
        self._names: dict[str, dict[str, tuple[str, ...]]] = {}
        self._reverse: dict[str, str] = {}
        self._watchers: dict[Callable[[], object], None] = {}

    def set_endpoint(self, endpoint_id: str, names: Iterable[str], addresses: Iterable[str]) -> None:
        """Register or change an endpoint: its container's name first, then aliases and short id; its addresses."""
        lowered = tuple(dict.fromkeys(name.lower().rstrip(".") for name in names if name.rstrip(".")))
        entry = (lowered, tuple(addresses))
        if self._endpoints.get(endpoint_id) == entry:
            return
        self._drop(endpoint_id)
        self._endpoints[endpoint_id] = entry
        for name in lowered:
            self._names.setdefault(name, {})[endpoint_id] = entry[1]
        if lowered:
            self._reverse.update(dict.fromkeys(entry[1], f"{lowered[0]}.{self.name}"))
        self._changed()

    def remove_endpoint(self, endpoint_id: str) -> None:
        """Forget an endpoint; an unknown one counts as done."""
        if self._drop(endpoint_id):
            self._changed()

    def _drop(self, endpoint_id: str) -> bool:
        entry = self._endpoints.pop(endpoint_id, None)
        if entry is None:
            return False
        names, addresses = entry
        for name in names:
            holders = self._names[name]
            del holders[endpoint_id]
            if not holders:
                del self._names[name]
        for address in addresses:
            self._reverse.pop(address, None)
        return True

    def lookup(self, name: str) -> tuple[str, ...] | None:
        """All addresses of a name (lower-case), replicas included, or None when nobody has it."""
        holders = self._names.get(name)
        if holders is None:
            return None
        return tuple(address for addresses in holders.values() for address in addresses)

    def reverse(self, address: str) -> str | None:
        """`container.network` of an address, or None."""
        return self._reverse.get(address)

    def watch(self, callback: Callable[[], object]) -> None:
        """Call back whenever an answer may have changed."""
        self._watchers[callback] = None

    def unwatch(self, callback: Callable[[], object]) -> None:
        """End `watch`."""
        self._watchers.pop(callback, None)

    def _changed(self) -> None:
        for callback in tuple(self._watchers):
            callback()


@dataclass(frozen=True, kw_only=True)
class Upstream:
    """Where other names are asked. `netns_fd` asks from inside a network namespace, None from the engine's own.

    The caller keeps the descriptor open for as long as a view with it is in use.
    """

    address: str
    port: int = 53
    netns_fd: int | None = None


@dataclass(frozen=True, kw_only=True)
class View:
    """What one sandbox's resolver answers. The first zone that knows a name wins.

    `links` are names of this container alone, each for a name on its networks. With `ndots_set` names without a dot are
    left to the client's search list, not forwarded.
    """

    zones: tuple[Zone, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    upstreams: tuple[Upstream, ...] = ()
    ndots_set: bool = False
    timeout: float = 4.0
    """Seconds for a forwarded query, all servers and retries together."""

    @property
    def internal(self) -> bool:
        """Whether the container is on internal networks only."""
        return bool(self.zones) and all(zone.internal for zone in self.zones)

    @property
    def reachable(self) -> tuple[Upstream, ...]:
        """The servers that may be asked: behind internal networks only those that the container reaches by itself.

        As Docker 26 has it: a server on the internal network answers, everything else fails (SERVFAIL).
        """
        if not self.internal:
            return self.upstreams
        return tuple(upstream for upstream in self.upstreams if upstream.netns_fd is not None)

    def resolve(self, name: str) -> tuple[str, ...] | None:
        """The addresses of a name (lower-case, without final dot), or None when it is not ours."""
        target = self.links.get(name)
        if target is not None:
            found = self._find(target.lower())
            if found is not None:
                return found
        return self._find(name)

    def _find(self, name: str) -> tuple[str, ...] | None:
        for zone in self.zones:
            found = zone.lookup(name)
            if found is not None:
                return found
        for zone in self.zones:
            # `container.network`: a network's name may itself have dots
            if name.endswith(f".{zone.name}"):
                found = zone.lookup(name[: -len(zone.name) - 1])
                if found is not None:
                    return found
        return None

    def pointer(self, address: str) -> str | None:
        """The name of an address on one of the networks, or None."""
        for zone in self.zones:
            found = zone.reverse(address)
            if found is not None:
                return found
        return None

"""Which names lead to which container, and which resolver sees them.

Docker's names of an endpoint: the container's name, its aliases, its short id. A sandbox's resolver sees the zones of
its owner's networks and nothing else.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from runtime.dns.server import DnsServer
from runtime.dns.zones import Upstream, View, Zone
from runtime.network import hostfiles

if TYPE_CHECKING:
    from runtime.engine.container import Container
    from runtime.engine.engine import Engine

SHORT_ID = 12
HOST_RESOLV_CONF = "/etc/resolv.conf"


class Names:
    """The zones of all networks and the resolvers of all sandboxes."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._zones: dict[str, Zone] = {}
        self._server = DnsServer()
        self._serving: set[str] = set()

    def update(self, container: Container) -> None:
        """Register the container's names on its networks, and have its sandbox's resolver see these."""
        record = container.record
        zones = self._zones_of(container)
        for zone, settings in zip(zones, record.endpoints.values(), strict=True):
            names = [record.name, *(settings.get("Aliases") or []), record.id[:SHORT_ID]]
            settings["DNSNames"] = list(dict.fromkeys(names))
            addresses = [settings.get("IPAddress"), settings.get("GlobalIPv6Address")]
            zone.set_endpoint(record.id, names, [str(address) for address in addresses if address])
        for zone in self._zones.values():
            if zone not in zones:
                zone.remove_endpoint(record.id)
        self._serve(container, zones)

    def serve(self, container: Container) -> None:
        """Have the resolver of the container's sandbox see the networks it is on; its own names stay as they are."""
        self._serve(container, self._zones_of(container))

    def remove(self, container: Container) -> None:
        """The container's names lead nowhere any more."""
        for zone in self._zones.values():
            zone.remove_endpoint(container.record.id)

    def close_sandbox(self, owner: str) -> None:
        """A sandbox goes: its resolver's sockets would keep its namespace alive."""
        self._serving.discard(owner)
        self._server.remove_sandbox(owner)

    def forget_network(self, network_id: str) -> None:
        """A network is gone."""
        self._zones.pop(network_id, None)

    def close(self) -> None:
        """Serve nobody any more; sockets that others hold stay open and keep what arrives."""
        self._server.close()

    def _zones_of(self, container: Container) -> tuple[Zone, ...]:
        networks = (self.engine.networks.get(name) for name in container.record.endpoints)
        return tuple(self._zone(each.id, each.name, internal=each.internal) for each in networks)

    def _zone(self, network_id: str, name: str, *, internal: bool) -> Zone:
        zone = self._zones.get(network_id)
        if zone is None:
            zone = self._zones[network_id] = Zone(network_id, name, internal=internal)
        return zone

    def _serve(self, container: Container, zones: tuple[Zone, ...]) -> None:
        owner = container.record.id
        fds = self.engine.sandboxes.dns_sockets(owner)
        if fds is None:
            return
        view = self._view(container, zones)
        if owner in self._serving:
            self._server.update_view(owner, view)
            return
        udp, tcp = (socket.socket(fileno=os.dup(fd)) for fd in fds)
        udp.setblocking(False)
        tcp.setblocking(False)
        self._serving.add(owner)
        self._server.add_sandbox(owner, udp, tcp, view)

    def _view(self, container: Container, zones: tuple[Zone, ...]) -> View:
        host_config = container.record.host_config
        config = hostfiles.merge(
            host_resolver(),
            host_config.get("Dns") or [],
            host_config.get("DnsSearch") or [],
            host_config.get("DnsOptions") or [],
        )
        links = {}
        for settings in container.record.endpoints.values():
            for link in settings.get("Links") or []:
                target, _, alias = link.partition(":")
                links[(alias or target).lower()] = target
        return View(
            zones=zones,
            links=links,
            upstreams=self._upstreams(container, config.servers),
            ndots_set=hostfiles.ndots_set(config),
        )

    def _upstreams(self, container: Container, servers: tuple[str, ...]) -> tuple[Upstream, ...]:
        """Servers are asked from inside the container's network, as Docker does: what is reachable from there counts.

        Only what the host's own resolv.conf names and no container can reach is asked from the host's.
        """
        netns = self.engine.sandboxes.namespace(container.record.id)
        settings = container.record.endpoints.values()
        ipv6 = any(endpoint.get("GlobalIPv6Address") for endpoint in settings)
        own = bool(container.record.host_config.get("Dns"))
        return tuple(
            Upstream(address=server, netns_fd=netns if own or hostfiles.reachable(server, ipv6=ipv6) else None)
            for server in servers
        )


def host_resolver() -> hostfiles.ResolverConfig:
    """What the host's own resolv.conf says at this moment."""
    try:
        with open(HOST_RESOLV_CONF, encoding="utf-8", errors="replace") as stream:
            return hostfiles.parse_resolv_conf(stream.read())
    except FileNotFoundError:
        return hostfiles.ResolverConfig()

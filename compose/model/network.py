"""Networks of the project and how a service joins them."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.record import Record


class IPAMPool(Record):
    """One subnet with its gateway, range and reserved addresses."""

    subnet: str = fields.text()
    gateway: str = fields.text()
    ip_range: str = fields.text()
    aux_addresses: dict[str, str] = fields.mapping()
    extensions: dict[str, Any] = fields.extensions()


class IPAMConfig(Record):
    """Address management of a network."""

    driver: str = fields.text()
    config: tuple[IPAMPool, ...] = fields.nested_list(IPAMPool)
    options: dict[str, str] = fields.silent_mapping()
    extensions: dict[str, Any] = fields.extensions()


class NetworkConfig(Record):
    """A network; `name` is its name in the engine once the project is loaded."""

    name: str = fields.text()
    driver: str = fields.text()
    driver_opts: dict[str, str] = fields.mapping()
    ipam: IPAMConfig = fields.embedded(IPAMConfig)
    external: bool = fields.flag()
    internal: bool = fields.flag()
    attachable: bool = fields.flag()
    labels: dict[str, str] = fields.mapping()
    enable_ipv4: bool | None = fields.tristate()
    enable_ipv6: bool | None = fields.tristate()
    extensions: dict[str, Any] = fields.extensions()


class ServiceNetworkConfig(Record):
    """How one service joins one network; interfaces are ordered by falling `priority`."""

    aliases: tuple[str, ...] = fields.strings()
    driver_opts: dict[str, str] = fields.mapping()
    gw_priority: int = fields.integer()
    interface_name: str = fields.text()
    ipv4_address: str = fields.text()
    ipv6_address: str = fields.text()
    link_local_ips: tuple[str, ...] = fields.strings()
    mac_address: str = fields.text()
    priority: int = fields.integer()
    extensions: dict[str, Any] = fields.extensions()


class PortConfig(Record):
    """A published port in long form; `published` is "" (ephemeral), a port or a range `8000-8010`."""

    name: str = fields.text()
    mode: str = fields.text()
    host_ip: str = fields.text()
    target: int = fields.unsigned32()
    published: str = fields.text()
    protocol: str = fields.text()
    app_protocol: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()

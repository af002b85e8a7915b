"""Choose the proxy for an address by the client's HTTP_PROXY, HTTPS_PROXY and NO_PROXY, by the rules Docker's users know.

This machine is never asked through a proxy; NO_PROXY lists hosts, domains (with all below them), addresses, networks.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.errors import InvalidParameter, NotSupported
from runtime.images.registry.hosts import is_loopback

if TYPE_CHECKING:
    from runtime.wire.registries import Surroundings


def proxy_for(url: str, surroundings: Surroundings) -> str:
    """The address of the proxy for `url`, with its user and password if it has them; empty for none.

    Raises InvalidParameter or NotSupported for a proxy that cannot be used.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    proxy = surroundings.get("https_proxy", "") if secure else surroundings.get("http_proxy", "")
    host = parts.hostname or ""
    if not proxy or is_loopback(parts.netloc) or _excepted(host, parts.port, surroundings.get("no_proxy", "")):
        return ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    found = urlsplit(proxy)
    if found.scheme not in ("http", "https"):
        raise NotSupported(f"proxy {found.scheme}://{found.hostname}: only http and https proxies are supported")
    if not found.hostname:
        raise InvalidParameter("proxy: the address in the environment has no host")
    return proxy


def _excepted(host: str, port: int | None, no_proxy: str) -> bool:
    for entry in (item.strip().lower() for item in no_proxy.split(",")):
        if not entry:
            continue
        if entry == "*":
            return True
        name, wanted_port = _split(entry)
        if wanted_port and port and wanted_port != str(port):
            continue
        if _matches(host.lower(), name):
            return True
    return False


def _split(entry: str) -> tuple[str, str]:
    if entry.count(":") > 1 and not entry.startswith("["):
        return entry, ""
    head, colon, port = entry.rpartition(":")
    return (head.strip("[]"), port) if colon and port.isdigit() else (entry.strip("[]"), "")


def _matches(host: str, name: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        domain = name.removeprefix("*").lstrip(".")
        # a leading dot means: below it, not itself
        return host.endswith(f".{domain}") or (host == domain and not name.startswith((".", "*")))
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False

"""Find the hosts that serve a repository: its registry's mirrors first, then the registry itself.

The name in a reference is not always the host (docker.io is served by registry-1.docker.io), and everything else,
credentials, settings, messages, goes by the name.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from runtime.errors import InvalidParameter
from runtime.images.reference import DEFAULT_DOMAIN

if TYPE_CHECKING:
    from runtime.images.reference import Reference
    from runtime.wire.registries import Registries

HUB_HOST = "registry-1.docker.io"


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One host that speaks the distribution protocol."""

    name: str
    """Whose credentials and settings it has: the name in references, or a mirror's host."""
    host: str
    """Host and port of its addresses."""
    schemes: tuple[str, ...] = ("https",)
    """To be tried in this order until one answers."""
    prefix: str = ""
    """Path in front of `/v2/`."""
    verify: bool = True
    ca: str = ""
    auth_hosts: tuple[str, ...] = ()
    mirror: bool = False

    def url(self, scheme: str, path: str) -> str:
        """The address of `path` (which begins with `/v2/`)."""
        return f"{scheme}://{self.host}{self.prefix}{path}"


def endpoints(reference: Reference, registries: Registries, *, push: bool = False) -> list[Endpoint]:
    """Where to ask for `reference`, in order; mirrors are never pushed to. Raises InvalidParameter for a bad mirror."""
    found = (
        [] if push else [_mirror(url, registries) for url in registries.get(reference.domain, {}).get("mirrors", [])]
    )
    return [*found, endpoint(reference.domain, registries)]


def endpoint(name: str, registries: Registries) -> Endpoint:
    """The registry called `name` in references."""
    settings = registries.get(name, {})
    insecure = settings.get("insecure", is_loopback(name))
    return Endpoint(
        name=name,
        host=HUB_HOST if name == DEFAULT_DOMAIN else name,
        schemes=("https", "http") if insecure else ("https",),
        verify=not insecure,
        ca=settings.get("ca", ""),
        auth_hosts=tuple(settings.get("auth_hosts", ())),
    )


def mirror_host(url: str) -> str:
    """Host and port of a mirror's address; raises InvalidParameter."""
    parts = urlsplit(url if "://" in url else f"https://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
        raise InvalidParameter(f"registry mirror {url}: not an address like https://mirror.example.com")
    return parts.netloc


def is_loopback(host: str) -> bool:
    """Whether a host (with or without port) is this machine by its name alone: such a registry needs no certificate."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _mirror(url: str, registries: Registries) -> Endpoint:
    host = mirror_host(url)
    parts = urlsplit(url if "://" in url else f"https://{url}")
    settings = registries.get(host, {})
    insecure = settings.get("insecure", is_loopback(host))
    return Endpoint(
        name=host,
        host=host,
        schemes=("https", "http") if insecure and parts.scheme == "https" else (parts.scheme,),
        prefix=parts.path.rstrip("/"),
        verify=not insecure,
        ca=settings.get("ca", ""),
        auth_hosts=tuple(settings.get("auth_hosts", ())),
        mirror=True,
    )

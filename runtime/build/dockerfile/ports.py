"""Read the words of EXPOSE: `80`, `80/udp`, `8000-8010/tcp`; a host part is accepted and dropped, as BuildKit does."""

from __future__ import annotations

import re

from runtime.build.dockerfile.problem import DockerfileError

_PROTOCOLS = frozenset({"tcp", "udp", "sctp"})
_PORT = re.compile(r"[0-9]{1,5}\Z")
_ADDRESS = re.compile(r"[0-9.]+\Z|\[?[0-9a-fA-F:.]+\]?\Z")


def exposed(word: str) -> list[str]:
    """Every `port/protocol` that a word means, in order. Raises DockerfileError."""
    published, _, rest = word.rpartition(":")
    numbers, _, protocol = rest.partition("/")
    if not numbers:
        raise DockerfileError(f'invalid port: "{word}": no port specified')
    protocol = protocol.lower() or "tcp"
    if protocol not in _PROTOCOLS:
        raise DockerfileError(f'invalid port: "{word}": invalid proto: {rest.partition("/")[2]}')
    first, last = _range(numbers, "containerPort")
    if published:
        _check_published(published, numbers, last - first)
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _check_published(published: str, numbers: str, span: int) -> None:
    address, _, host = published.rpartition(":")
    if address and not _ADDRESS.match(address):
        raise DockerfileError(f"invalid IP address: {address}")
    if not host:
        return
    first, last = _range(host, "hostPort")
    if span and last - first != span:
        raise DockerfileError(f"invalid ranges specified for container and host Ports: {numbers} and {host}")


def _range(text: str, what: str) -> tuple[int, int]:
    start, found, end = text.partition("-")
    first, last = _port(start), _port(end if found else start)
    if first is None or last is None or last < first:
        raise DockerfileError(f"invalid {what}: {text}")
    return first, last


def _port(text: str) -> int | None:
    return int(text) if _PORT.match(text) and int(text) <= 65535 else None

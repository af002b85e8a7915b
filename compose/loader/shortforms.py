"""Parses the short forms of ports, volumes and devices into the long ones.

Errors are ValueErrors whose text holds the reference's phrase; the caller adds the place.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any

from compose.loader.template import MAX_LENGTH

_PORT = re.compile(r"[0-9]+$")
_BRACKETED = re.compile(r"\[(.*)\]$")
_PROPAGATIONS = ("rprivate", "private", "rshared", "shared", "rslave", "slave")
_PROTOCOLS = ("tcp", "udp", "sctp")
MAX_PORT = 65535


def parse_port(text: str, limit: int = MAX_PORT + 1) -> list[dict[str, Any]]:
    """`[[ip:][published[-published]]:]target[-target][/protocol]` as one long form a target port.

    A range of published ports for a single target stays a range. The order is that of the ports as text. More than
    `limit` are refused.
    """
    spec, _, rest = text.partition("/")
    protocol = rest.partition("/")[0].lower() if spec else ""
    protocol = protocol or "tcp"
    if protocol not in _PROTOCOLS:
        raise ValueError(f"invalid proto: {protocol}")
    parts = spec.split(":")
    target = parts[-1]
    published = parts[-2] if len(parts) > 1 else ""
    address = ":".join(parts[:-2])
    if address.startswith("["):
        bracketed = _BRACKETED.match(address)
        if bracketed is None:
            raise ValueError(f"invalid IP address {address}")
        address = bracketed.group(1)
    if address and not is_address(address):
        raise ValueError(f"invalid IP address: {address}")
    if not target:
        raise ValueError(f"invalid proto: no port specified: {spec}<empty>")
    first, last = _range(target, "containerPort")
    host_first, host_last = _range(published, "hostPort") if published else (0, 0)
    if published and last - first != host_last - host_first and last != first:
        raise ValueError(f"invalid ranges specified for container and host Ports: {target} and {published}")
    if last - first >= limit:
        raise ValueError(f"more than {MAX_PORT} ports: ranges add up")
    ports: list[dict[str, Any]] = []
    for offset in range(last - first + 1):
        port: dict[str, Any] = {"mode": "ingress"}
        if address:
            port["host_ip"] = address
        if first + offset:
            port["target"] = first + offset
        if published:
            port["published"] = str(host_first + offset)
            if first == last and host_first != host_last:
                port["published"] += f"-{host_last}"
        port["protocol"] = protocol
        ports.append(port)
    return sorted(ports, key=lambda port: str(port.get("target", 0)))


def _range(text: str, what: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    last = last.partition("-")[0] if dash else first
    for part in (first, last):
        if not _PORT.match(part) or len(part) > 10 or int(part) > MAX_PORT:
            raise ValueError(f"invalid {what}: {text}")
    if int(last) < int(first):
        raise ValueError(f"invalid {what}: {text}")
    return int(first), int(last)


def is_address(text: str) -> bool:
    """Whether the text is an IPv4 or IPv6 address."""
    import socket

    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
        return True
    return False


def parse_volume(text: str) -> dict[str, Any]:
    """`[source:]target[:options]` as a long form: type, source, target, read_only, bind, volume."""
    if not text:
        raise ValueError("invalid empty volume spec")
    if len(text.encode()) <= 2:
        return {"type": "volume", "target": text}
    sections = _sections(text)
    if len(sections) > 3:
        raise ValueError(f"invalid spec: {text}: too many colons")
    if "" in sections:
        raise ValueError(f"invalid spec: {text}: empty section between colons")
    source = sections[0] if len(sections) > 1 else ""
    volume: dict[str, Any] = {"source": source, "target": sections[-1] if len(sections) < 3 else sections[1]}
    bind: dict[str, Any] = {}
    options: dict[str, Any] = {}
    for option in sections[2].split(",") if len(sections) == 3 else ():
        if option in ("ro", "rw"):
            volume["read_only"] = option == "ro"
        elif option == "nocopy":
            options["nocopy"] = True
        elif option in _PROPAGATIONS:
            bind["propagation"] = option
        elif option in ("z", "Z"):
            bind["selinux"] = option
    if not volume.get("read_only"):
        volume.pop("read_only", None)
    if is_file_path(source):
        volume = {"type": "bind", **volume, "bind": {**bind, "create_host_path": True}}
        if options:
            volume["volume"] = options
    else:
        volume = {"type": "volume", **volume, "volume": options}
        if bind:
            volume["bind"] = bind
    if not source:
        del volume["source"]
    return volume


def _sections(text: str) -> list[str]:
    """Split at colons outside `${...}`; a single letter before a colon is a Windows drive."""
    if "$" not in text and not (text[1:2] == ":" or re.search(r":[^\W\d_]:", text)):
        return text.split(":")
    sections: list[str] = []
    buffer = ""
    depth = 0
    for index, character in enumerate(text[:MAX_LENGTH]):
        if character == "$" and text[index + 1 : index + 2] == "{":
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character == ":" and not depth and not (len(buffer) == 1 and buffer.isalpha()):
            sections.append(buffer)
            buffer = ""
            continue
        buffer += character
    return [*sections, buffer]


def is_file_path(source: str) -> bool:
    """Whether a volume's source is a path of the host, not a name."""
    if not source:
        return False
    if source[0] in "./~" or source.startswith("\\\\"):
        return True
    return len(source) > 1 and source[0].isalpha() and source[1] == ":"


def clean_path(path: str) -> str:
    """A path without `.`, `..` and doubled slashes; "" stays ""."""
    if not path:
        return ""
    cleaned = posixpath.normpath(path)
    return cleaned[1:] if cleaned.startswith("//") else cleaned


def parse_device(text: str) -> dict[str, str]:
    """`source[:target[:permissions]]` as a long form."""
    parts = text.split(":")
    if len(parts) > 3:
        raise ValueError(f"confusing device mapping, please use long syntax: {text}")
    source, target, permissions = (*parts, *("", "", "rwm")[len(parts) :])
    return {"source": source, "target": target or source, "permissions": permissions}

"""A project as an artifact of a registry, in Docker Compose's form: a layer for every compose file and env file.

Files are named by annotations, and all lie in one directory: a name with a separator would be written elsewhere. The
compose files are documents of one `compose.yaml`; those that `extends` names, and env files, are files of their own.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROJECT = "application/vnd.docker.compose.project"
CONFIG = "application/vnd.docker.compose.config.empty.v1+json"
"""Of the configuration where the manifest has no artifact type (OCI 1.0)."""
KINDS = (PROJECT, CONFIG)
YAML = "application/vnd.docker.compose.file+yaml"
ENV = "application/vnd.docker.compose.envfile"
MAIN = "compose.yaml"
_VERSION = "com.docker.compose.version"
_FILE = "com.docker.compose.file"
_EXTENDS = "com.docker.compose.extends"
_ENV_FILE = "com.docker.compose.envfile"


class Part(NamedTuple):
    """One file to be published."""

    name: str
    content: bytes
    media_type: str = YAML
    is_base: bool = False
    """Whether `extends` names it: it is a file of its own then."""


def layers(parts: Iterable[Part], version: str) -> list[dict[str, Any]]:
    """The layers of files, as the engine takes them."""
    return [
        {
            "MediaType": part.media_type,
            "Content": base64.b64encode(part.content).decode(),
            "Annotations": {
                _VERSION: version,
                (_ENV_FILE if part.media_type == ENV else _FILE): part.name,
                **({_EXTENDS: "true"} if part.is_base else {}),
            },
        }
        for part in parts
    ]


def form(version: str, *, oci: str, created: str, images: Iterable[str] = ()) -> dict[str, Any]:
    """How the artifact is written, as the engine takes it; `created` in RFC 3339."""
    return {
        "Kind": PROJECT,
        "ConfigType": CONFIG,
        "Version": oci,
        "Annotations": {"org.opencontainers.image.created": created},
        "Described": {_VERSION: version},
        "Images": list(images),
    }


def files(found: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
    """Name to content of what an artifact's layers hold; raises ComposeError for names that lead elsewhere."""
    made: dict[str, bytes] = {}
    for number, layer in enumerate(found):
        content = base64.b64decode(layer["Content"])
        notes = layer["Annotations"]
        if layer["MediaType"] == YAML:
            name = _checked(notes.get(_FILE, "")) if _EXTENDS in notes else MAIN
            between = b"\n---\n" if number and _FILE in notes and name in made else b""
            made[name] = made.get(name, b"") + between + content
        elif layer["MediaType"] == ENV:
            made[_checked(notes.get(_ENV_FILE, ""))] = content
    if MAIN not in made:
        raise ComposeError("invalid OCI artifact: it holds no compose file")
    return made


def _checked(name: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise ComposeError(f"invalid OCI artifact: {name!r} is no name of a file")
    return name

"""Platforms (`linux/arm64/v8`): read, compare, and choose from an index; the wrong one is an error, not a surprise."""

from __future__ import annotations

import os
import re
from typing import Any, Final, NamedTuple

from runtime.errors import InvalidParameter

_WORD: Final = re.compile(r"[A-Za-z0-9_.-]+")
_ALIASES: Final = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv8l": ("arm64", ""),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
}
_DEFAULT_VARIANTS: Final = {"arm64": "v8", "arm": "v7", "amd64": "v1"}
_OLDER: Final = {"v8": ("v8", "v7", "v6", "v5"), "v7": ("v7", "v6", "v5"), "v6": ("v6", "v5"), "v5": ("v5",)}


class Platform(NamedTuple):
    """`variant` is empty where it is the architecture's usual one (v8 of arm64, v7 of arm)."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


def local() -> Platform:
    """This machine's."""
    return _normal("linux", os.uname().machine, "")


def parse(text: str) -> Platform:
    """`os`, `architecture`, `os/architecture` or with `/variant`; empty is this machine. Raises InvalidParameter."""
    if not text:
        return local()
    parts = text.lower().split("/")
    if len(parts) > 3 or not all(_WORD.fullmatch(part) for part in parts):
        raise InvalidParameter(f'"{text}": unknown operating system or architecture: invalid argument')
    if len(parts) == 1:
        return _normal(parts[0], local().architecture, "") if parts[0] == "linux" else _normal("linux", parts[0], "")
    return _normal(parts[0], parts[1], parts[2] if len(parts) == 3 else "")


def of_config(document: dict[str, Any]) -> Platform | None:
    """What an image configuration says; None if it says nothing."""
    architecture = document.get("architecture")
    if not isinstance(architecture, str) or not architecture:
        return None
    return _normal(str(document.get("os") or "linux"), architecture, str(document.get("variant") or ""))


def of_entry(entry: dict[str, Any]) -> Platform | None:
    """What an index says about one of its manifests; None if nothing, or that it is no image (attestations)."""
    said = entry.get("platform")
    if not isinstance(said, dict) or said.get("os") in (None, "", "unknown"):
        return None
    return of_config(said)


def runs(image: Platform, wanted: Platform) -> bool:
    """Whether an image for `image` is what was asked for with `wanted`: the same, or an older variant of it."""
    return image in acceptable(wanted)


def acceptable(wanted: Platform) -> list[Platform]:
    """What does for `wanted`, the best first."""
    if wanted.architecture != "arm":
        return [wanted] if not wanted.variant else [wanted, wanted._replace(variant="")]
    variants = _OLDER.get(wanted.variant or "v7", (wanted.variant,))
    return [_normal(wanted.os, "arm", variant) for variant in variants]


def _normal(system: str, architecture: str, variant: str) -> Platform:
    architecture, implied = _ALIASES.get(architecture, (architecture, ""))
    variant = variant or implied
    variant = variant if not variant.isdigit() else f"v{variant}"
    return Platform(system, architecture, "" if variant == _DEFAULT_VARIANTS.get(architecture) else variant)

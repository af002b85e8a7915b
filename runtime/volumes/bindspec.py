"""The short text form of a mount, `[source:]target[:mode]`, after Docker's Linux parser."""

from __future__ import annotations

import os
from typing import Final

from runtime.errors import InvalidParameter

PROPAGATIONS: Final = ("private", "rprivate", "shared", "rshared", "slave", "rslave")
_GROUPS: Final = {
    **dict.fromkeys(("rw", "ro"), "access"),
    **dict.fromkeys(("z", "Z"), "label"),
    **dict.fromkeys(PROPAGATIONS, "propagation"),
    **dict.fromkeys(("consistent", "cached", "delegated"), "consistency"),
    "nocopy": "copy",
}
"""Each word of a mode and its group; no group may come twice."""


def split(text: str) -> tuple[str, str, list[str]]:
    """`(source, target, mode words)`; an empty source is an anonymous volume. Raises InvalidParameter."""
    parts = text.split(":")
    if not parts[0] or len(parts) > 3:
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    if len(parts) == 1:
        return "", parts[0], []
    # "/data:ro" would mean a mode without a target
    if not parts[1] or (len(parts) == 2 and _valid(parts[1].split(","))):
        raise InvalidParameter(f"invalid volume specification: '{text}'")
    words = parts[2].split(",") if len(parts) == 3 and parts[2] else []
    if not _valid(words):
        raise InvalidParameter(f"invalid mode: {parts[2]}")
    return parts[0], parts[1], words


def propagation(words: list[str]) -> str:
    """The propagation among mode words, or empty."""
    return next((word for word in words if word in PROPAGATIONS), "")


def clean_target(kind: str, target: str) -> str:
    """The target without `.`, `..` and double slashes; raises InvalidParameter unless absolute and not `/`."""
    if not target:
        raise InvalidParameter(f'invalid mount config for type "{kind}": field Target must not be empty')
    if not target.startswith("/") or "\0" in target:
        raise InvalidParameter(
            f"invalid mount config for type \"{kind}\": invalid mount path: '{target}' mount path must be absolute"
        )
    cleaned = "/" + os.path.normpath(target).lstrip("/")
    if cleaned == "/":
        raise InvalidParameter(
            f"invalid mount config for type \"{kind}\": invalid specification: destination can't be '/'"
        )
    return cleaned


def _valid(words: list[str]) -> bool:
    groups = [_GROUPS.get(word) for word in words]
    return None not in groups and len(set(groups)) == len(groups)

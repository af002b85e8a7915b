"""What an image has at one path, found in its layers without mounting them.

The rules are overlayfs's: the topmost layer that has the name decides, a whiteout or an opaque directory hides what lies
below. Links are not followed: whoever comes to one does not know.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Literal

from runtime.images.confined import is_whiteout

if TYPE_CHECKING:
    from collections.abc import Sequence

Kind = Literal["dir", "file", "link", ""]
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def kind(layers: Sequence[str], path: str) -> Kind:
    """What is at `path` or, if that is no directory, on the way to it; empty where there is nothing.

    `layers` are directories, top first. `file` is anything that is neither directory nor link.
    """
    seen = list(layers)
    parts = [part for part in path.split("/") if part]
    for index in range(len(parts)):
        place = "/".join(parts[: index + 1])
        found = _at(seen, place)
        if found != "dir":
            return found
        seen = _visible(seen, place)
    return "dir"


def _at(layers: list[str], place: str) -> Kind:
    status = next((found for layer in layers if (found := _lstat(f"{layer}/{place}")) is not None), None)
    if status is None or is_whiteout(status):
        return ""
    if stat.S_ISDIR(status.st_mode):
        return "dir"
    return "link" if stat.S_ISLNK(status.st_mode) else "file"


def _visible(layers: list[str], place: str) -> list[str]:
    """The layers whose directory `place` can be seen."""
    seen = []
    for layer in layers:
        status = _lstat(f"{layer}/{place}")
        if status is None:
            continue
        if not stat.S_ISDIR(status.st_mode):
            break
        seen.append(layer)
        if _is_opaque(f"{layer}/{place}"):
            break
    return seen


def _lstat(path: str) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


def _is_opaque(path: str) -> bool:
    for attribute in _OPAQUE:
        try:
            if os.getxattr(path, attribute, follow_symlinks=False) == b"y":
                return True
        except OSError:
            continue
    return False

"""Remember what files of a build context contain, so that an unchanged one of ten thousand is never read again.

A file is unchanged while inode, size, mtime and ctime are: ctime cannot be set back. What was changed within the last
moments before it was read is not remembered, for a second change in the same tick of the clock would look the same.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from runtime.linux import atomicfile

if TYPE_CHECKING:
    from collections.abc import Iterable

_CHUNK: Final = 1 << 20
_SETTLED: Final = 100_000_000
"""Nanoseconds after which a file's times tell one change from the next."""
_KEPT_CONTEXTS: Final = 64
_ENTRY: Final = 6
"""Fields of what is known about every file: five of its stamp, and the digest."""


class FileDigests:
    """SHA-256 of files by their place in one context; `place` (empty: nothing is remembered) is where they are kept."""

    def __init__(self, place: str = "") -> None:
        self._place = place
        self._known: dict[str, list[object]] | None = None
        self._new: dict[str, list[object]] = {}
        self._lock = threading.Lock()

    def of(self, path: str, found: os.stat_result, directory: int, name: str) -> str:
        """Hex digest of the regular file `name` in the open `directory`; `path` is its place in the context.

        Raises OSError.
        """
        stamp: list[object] = [found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_dev]
        known = self._load().get(path)
        if known is not None and known[:5] == stamp:
            self._new[path] = known
            return str(known[5])
        digest = _sha256(directory, name)
        if self._place and time.time_ns() - max(found.st_ctime_ns, found.st_mtime_ns) > _SETTLED:
            self._new[path] = [*stamp, digest]
        return digest

    def is_plain(self, path: str) -> bool:
        """Whether the file that `of` was just asked for is known to have no extended attributes: they change ctime too."""
        entry = self._new.get(path)
        return entry is not None and len(entry) > _ENTRY

    def plain(self, path: str) -> None:
        """It has none."""
        entry = self._new.get(path)
        if entry is not None:
            self._new[path] = [*entry, True]

    def save(self) -> None:
        """Write what was learnt; raises OSError."""
        known = self._load()
        if not self._place or all(known.get(path) == entry for path, entry in self._new.items()):
            return
        os.makedirs(os.path.dirname(self._place), mode=0o700, exist_ok=True)
        atomicfile.write_bytes(self._place, json.dumps({**known, **self._new}).encode(), sync=False)
        _forget_oldest(os.path.dirname(self._place))

    def _load(self) -> dict[str, list[object]]:
        if self._known is None:
            with self._lock:
                self._known = self._known or _read(self._place)
        return self._known


def place_of(directory: str, context: str) -> str:
    """Where the digests of the context directory `context` are kept below `directory`."""
    return f"{directory}/{hashlib.sha256(os.fsencode(context)).hexdigest()[:32]}.json"


def _read(place: str) -> dict[str, list[object]]:
    try:
        found = atomicfile.read_json(place) if place else {}
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sha256(directory: int, name: str) -> str:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    try:
        digest = hashlib.sha256()
        while data := os.read(fd, _CHUNK):
            digest.update(data)
        return digest.hexdigest()
    finally:
        os.close(fd)


def _forget_oldest(directory: str) -> None:
    paths = [f"{directory}/{name}" for name in os.listdir(directory) if name.endswith(".json")]
    if len(paths) <= _KEPT_CONTEXTS:
        return
    for path in sorted(paths, key=_modified)[: len(paths) - _KEPT_CONTEXTS]:
        try:
            os.unlink(path)
        except FileNotFoundError:
            continue


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def join_digest(parts: Iterable[str]) -> str:
    """One digest of several texts, with the borders between them kept."""
    text = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

"""Descriptors that must outlive the engine, by key: the zygote holds them, the engine fetches duplicates."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from runtime.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Sequence


class FdStore:
    """Owns what is stored in it."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, list[int]] = {}

    def store(self, key: str, fds: Sequence[int]) -> None:
        """Take ownership of `fds` under `key`; what was there is closed."""
        old = self._entries.get(key, [])
        self._entries[key] = list(fds)
        _close(old)

    def fetch(self, key: str) -> list[int]:
        """The descriptors under `key`, still owned by the store. Raises NotFound."""
        try:
            return list(self._entries[key])
        except KeyError:
            raise NotFound(f"fd store: no key {key}") from None

    def drop(self, key: str) -> None:
        """Close what is under `key`; unknown is fine."""
        _close(self._entries.pop(key, []))

    def keys(self) -> list[str]:
        return sorted(self._entries)

    def clear(self) -> None:
        """Close everything."""
        for key in self.keys():
            self.drop(key)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)

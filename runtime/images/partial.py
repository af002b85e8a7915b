"""Work on one blob or layer that several jobs may want: one does it, the others wait; what a killed one left expires.

A file in `partial/` is locked by whoever works on it, and gone when the work is done; a lock on a file that has another
name by then, or none, is worth nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT: Final = 86400.0
"""Seconds that half a blob is kept for another attempt."""


def directory(root: str) -> str:
    """Where such files are, made if it is missing; raises OSError."""
    path = f"{root}/partial"
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def locked(path: str, waiting: Callable[[], None]) -> int:
    """A descriptor of the file `path`, made if it is missing, with its lock; calls `waiting` if another job has it."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(fd, fcntl.LOCK_EX)
        try:
            if os.path.samestat(os.stat(path), os.fstat(fd)):
                return fd
        except FileNotFoundError:
            pass
        os.close(fd)  # finished or thrown away while we waited


def expire(root: str) -> None:
    """Delete halves that nobody has gone on with for a day, and at once what has nothing in it to go on with."""
    place = f"{root}/partial"
    try:
        names = os.listdir(place)
    except FileNotFoundError:
        return
    for name in names:
        path = f"{place}/{name}"
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            found = os.fstat(fd)
            if not found.st_size or time.time() - found.st_mtime > KEPT:
                os.unlink(path)
        except OSError:
            continue  # somebody is at it
        finally:
            os.close(fd)


class Claims:
    """Layers, by chain id, that a job unpacks while others that want them wait. Threads may share it."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._held: dict[str, tuple[str, int]] = {}

    def take(self, chain: str, waiting: Callable[[], None]) -> None:
        """Be the one that unpacks a layer, once no other job is at it. Lower layers are to be taken before higher ones."""
        path = f"{directory(self._root)}/layer-{chain}"
        self._held[chain] = (path, locked(path, waiting))

    def release(self, chain: str) -> None:
        """The layer is in the store, or this job gives it up; nothing to do if it was not taken."""
        path, fd = self._held.pop(chain, ("", -1))
        if fd >= 0:
            os.unlink(path)
            os.close(fd)

    def close(self) -> None:
        """Give up what is still held."""
        for chain in list(self._held):
            self.release(chain)

"""The directories behind `RUN --mount=type=cache`: kept between builds, shared, private or locked as the mount asks.

A directory in use is marked by a flock that ends with the build, however that ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.build.dockerfile.model import Mount


class CacheMounts:
    """The cache directories below `directory`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory

    def take(self, mount: Mount) -> tuple[str, int, bool]:
        """(directory, descriptor that holds its lock, whether it is new) for one RUN; waits for a `locked` one.

        Raises OSError.
        """
        identifier = mount.id or mount.target
        name = hashlib.sha256(identifier.encode()).hexdigest()[:32]
        if mount.sharing != "private":
            how = fcntl.LOCK_EX if mount.sharing == "locked" else fcntl.LOCK_SH
            return self._open(name, mount, how)
        number = 0
        while True:
            try:
                return self._open(f"{name}-{number}" if number else name, mount, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                number += 1

    def _open(self, name: str, mount: Mount, how: int) -> tuple[str, int, bool]:
        place = f"{self.directory}/{name}"
        os.makedirs(place, mode=0o700, exist_ok=True)
        lock = os.open(f"{place}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, how)
            path = f"{place}/data"
            new = not os.path.isdir(path)
            if new:
                _make(path, mount)
        except BaseException:
            os.close(lock)
            raise
        return path, lock, new


def _make(path: str, mount: Mount) -> None:
    temporary = f"{path}.new-{os.urandom(4).hex()}"
    os.mkdir(temporary, 0o700)
    os.chown(temporary, mount.uid or 0, mount.gid or 0)
    os.chmod(temporary, 0o755 if mount.mode is None else mount.mode)
    try:
        os.rename(temporary, path)
    except OSError:
        os.rmdir(temporary)  # another build was quicker

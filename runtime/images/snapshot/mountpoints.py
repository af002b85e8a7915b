"""The layer between a container's image and what it writes: what our own file systems are mounted over.

Without it each container would make /etc/hosts and its like in its own upper directory, which costs a copied-up directory
and three files at every start. One layer serves all containers; Docker makes the same one for each (its init layer).
"""

from __future__ import annotations

import os
from typing import Final

_DIRECTORIES: Final = ("dev", "etc", "proc", "sys")
_FILES: Final = ("etc/hosts", "etc/hostname", "etc/resolv.conf")


def ensure(path: str) -> None:
    """Make the layer's directory `path` and what is missing in it. Raises OSError."""
    for name in ("", *_DIRECTORIES):
        try:
            os.mkdir(f"{path}/{name}", 0o755)
        except FileExistsError:
            continue
        os.chmod(f"{path}/{name}", 0o755)
    for name in _FILES:
        fd = os.open(f"{path}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.fchmod(fd, 0o644)
        os.close(fd)

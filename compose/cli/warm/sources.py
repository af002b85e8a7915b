"""Whether the source files that this process has imported are still what they were.

To look at each takes a millisecond or two, for every command. So the kernel tells when there is a reason to: dnotify
(fcntl(2), F_NOTIFY) sends a signal when something in a directory changes. Where it cannot, each command looks.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from typing import TYPE_CHECKING

from compose.cli.warm.front import PACKAGE

if TYPE_CHECKING:
    from collections.abc import Iterable

OURS = frozenset({"compose", "runtime", "schemas"})
ROOTS = tuple(f"{PACKAGE}/{name}" for name in OURS)
_CHANGES = fcntl.DN_MODIFY | fcntl.DN_CREATE | fcntl.DN_DELETE | fcntl.DN_RENAME | fcntl.DN_ATTRIB | fcntl.DN_MULTISHOT


class Sources:
    """The files of the modules that are imported now. One object a process: it owns SIGIO."""

    def __init__(self, paths: Iterable[str], roots: Iterable[str] = ROOTS) -> None:
        """`roots`: the directories that the files lie in or below."""
        self._modified = {path: _modified(path) for path in paths}
        self._roots = {path: _identity(path) for path in roots}
        self._suspect = True
        self._told = self._listen()

    def changed(self) -> bool:
        """Whether one is not what it was."""
        if any(_identity(path) != identity for path, identity in self._roots.items()):
            return True  # another directory has its name now: nothing in the old one need have changed
        if not self._suspect:
            return False
        self._suspect = not self._told  # before looking: what changes meanwhile is told of again
        found = any(_modified(path) != modified for path, modified in self._modified.items())
        self._suspect |= found
        return found

    def _listen(self) -> bool:
        """Be told of changes; whether that is possible. The descriptors stay open as long as the process lives."""
        signal.signal(signal.SIGIO, self._suspicious)
        directories = {os.path.dirname(path) for path in self._modified}
        try:
            if not all(map(_tells, directories)):
                return False
            for directory in directories:
                fcntl.fcntl(os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.F_NOTIFY, _CHANGES)
        except OSError:
            return False  # a kernel without it
        return True

    def _suspicious(self, _number: int, _frame: object) -> None:
        self._suspect = True


def imported() -> list[str]:
    """The files of our own modules that this process has imported."""
    modules = [module for name, module in list(sys.modules.items()) if name.partition(".")[0] in OURS]
    return [str(module.__file__) for module in modules if getattr(module, "__file__", None)]


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def _tells(directory: str) -> bool:
    """Whether every change goes through this kernel: on a disk, not on NFS and its like, which have no device."""
    return os.major(os.stat(directory).st_dev) != 0


def _modified(path: str) -> float:
    try:
        return os.stat(path).st_mtime
    except OSError:
        return -1.0

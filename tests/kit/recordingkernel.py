"""A kernel that does nothing and remembers what it was asked: tests compare the order of system calls.

Descriptors that it gives are real ones, of a directory, a file or a device as the `tree` says, so that code which looks
at them with fstat or closes them need not know.
"""

from __future__ import annotations

import os
import tempfile
from errno import ENOENT
from typing import Any

from runtime.errors import SyscallError
from runtime.linux.syscalls import Kernel

DIRECTORY = "directory"
FILE = "file"
_OPENING = frozenset({"open_tree", "fsopen", "fsmount", "memfd_create", "pidfd_open"})


class RecordingKernel(Kernel):
    """`calls` are the system calls so far, `tree` what is where, `failures` the errno that a call is to raise."""

    def __init__(self, tree: dict[str, str] | None = None, failures: dict[str, int] | None = None) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.tree = {".": DIRECTORY} if tree is None else {".": DIRECTORY} | tree
        self.failures = failures or {}
        self.permitted = (1 << 41) - 1

    def names(self) -> list[str]:
        """The names of the calls in order."""
        return [name for name, _ in self.calls]

    def arguments(self, name: str) -> list[tuple[Any, ...]]:
        """The arguments of each call of that name."""
        return [arguments for called, arguments in self.calls if called == name]

    def _answer(self, name: str, arguments: tuple[Any, ...]) -> Any:
        self.calls.append((name, arguments))
        if name in self.failures:
            raise SyscallError(name, self.failures[name])
        if name in {"openat2", "try_openat2"}:
            return self._open(name, os.fsdecode(arguments[1]))
        if name in _OPENING:
            return self._descriptor(DIRECTORY)
        if name == "capget":
            return self.permitted, self.permitted, 0
        return 0

    def _open(self, name: str, path: str) -> int:
        kind = self.tree.get(path.strip("/") or ".")
        if kind is None:
            if name == "try_openat2":
                return -ENOENT
            raise SyscallError(name, ENOENT, path)
        return self._descriptor(kind)

    @staticmethod
    def _descriptor(kind: str) -> int:
        if kind == DIRECTORY:
            return os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if kind == FILE:
            with tempfile.TemporaryFile() as file:
                return os.dup(file.fileno())
        return os.open(kind, os.O_PATH | os.O_CLOEXEC)


def _recorder(name: str) -> Any:
    def call(self: RecordingKernel, *arguments: Any, **named: Any) -> Any:
        return self._answer(name, arguments + tuple(named.values()))

    return call


for _name in [name for name in vars(Kernel) if not name.startswith("_")]:
    setattr(RecordingKernel, _name, _recorder(_name))

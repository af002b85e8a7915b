"""Flush one file system: what makes a freshly unpacked tree durable without an fsync per file."""

from __future__ import annotations

import ctypes
import os

from runtime.errors import SyscallError

_syncfs = ctypes.CDLL(None, use_errno=True).syncfs


def syncfs(path: str) -> None:
    """Write back everything dirty on the file system that holds `path`; raises SyscallError (also for lost writes)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _syncfs(fd) != 0:
            raise SyscallError("syncfs", ctypes.get_errno(), path)
    finally:
        os.close(fd)

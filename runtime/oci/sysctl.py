"""Sysctls of a container: only those that belong to one of its own namespaces.

Written through a procfs of our own that nothing is mounted over, with a walk that crosses neither link nor mount
(CVE-2025-52881).
"""

from __future__ import annotations

import os
from errno import ENOENT
from typing import TYPE_CHECKING, Final

from runtime.errors import InvalidParameter, SyscallError, SystemFailure
from runtime.linux import constants as c

if TYPE_CHECKING:
    from runtime.oci.mounts import Context

_IPC: Final = frozenset(
    f"kernel.{name}" for name in ("msgmax", "msgmnb", "msgmni", "sem", "shmall", "shmmax", "shmmni", "shm_rmid_forced")
)
_RESOLVE: Final = c.RESOLVE_BENEATH | c.RESOLVE_NO_XDEV | c.RESOLVE_NO_SYMLINKS | c.RESOLVE_NO_MAGICLINKS
_SWAP: Final = str.maketrans("./", "/.")


class Sysctls:
    """Settings by their dotted names (or with slashes, where a part holds a dot)."""

    __slots__ = ("values",)

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values

    def describe(self) -> str:
        return f"sysctl {' '.join(f'{key}={value}' for key, value in self.values.items())}"

    def execute(self, context: Context) -> None:
        procfs = context.proc()
        for key, value in self.values.items():
            try:
                fd = context.kernel.openat2(procfs, _path(key), os.O_WRONLY, resolve=_RESOLVE)
            except SyscallError as error:
                why = "this kernel has none" if error.errno == ENOENT else os.strerror(error.errno).lower()
                raise InvalidParameter(f"sysctl {key}={value}: {why}") from error
            try:
                os.write(fd, value.encode())
            except OSError as error:
                raise SystemFailure(f"sysctl {key}={value}: {os.strerror(error.errno or 0).lower()}") from error
            finally:
                os.close(fd)


def check(values: dict[str, str], own: int) -> Sysctls:
    """The settings if each belongs to a namespace in `own` (CLONE_NEW* flags); raises InvalidParameter."""
    for key, value in values.items():
        name = _path(key)[4:].replace("/", ".")
        if name in _IPC or name.startswith("fs.mqueue."):
            needed, what = c.CLONE_NEWIPC, "ipc"
        elif name.startswith("net."):
            needed, what = c.CLONE_NEWNET, "network"
        elif name in {"kernel.domainname", "kernel.hostname"}:
            needed, what = c.CLONE_NEWUTS, "uts"
        else:
            raise InvalidParameter(f"sysctl '{key}={value}' is not allowed")
        if not own & needed:
            raise InvalidParameter(f"sysctl {key}: the container has no {what} namespace of its own")
        if ".." in _path(key).split("/") or "\0" in key:
            raise InvalidParameter(f"sysctl {key}: not a name")
    return Sysctls(values)


def _path(key: str) -> str:
    first = min((key.find(mark) for mark in "./" if mark in key), default=-1)
    return "sys/" + (key if first >= 0 and key[first] == "/" else key.translate(_SWAP))

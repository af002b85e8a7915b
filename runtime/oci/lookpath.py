"""Find the program to execute inside the container, as the container's PATH says.

Magic links are refused: /proc/self/exe would be this very interpreter (CVE-2019-5736).
"""

from __future__ import annotations

import os
import stat
from errno import EACCES, EISDIR, ELOOP, ENOTDIR
from typing import TYPE_CHECKING, Final

from runtime.errors import SyscallError
from runtime.linux import constants as c
from runtime.oci.messages import NOT_EXECUTABLE, NOT_FOUND, ExecError

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

DEFAULT_PATH: Final = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def find(kernel: Kernel, name: bytes, env: list[bytes]) -> bytes:
    """The path to execute for `name`, relative to the current root and directory; raises ExecError (126 or 127)."""
    shown = os.fsdecode(name)
    if b"/" in name:
        errno = _why_not(kernel, name)
        if errno == 0:
            return name
        if errno == EISDIR:
            raise ExecError(f'exec: "{shown}": is a directory: permission denied', NOT_EXECUTABLE)
        if errno in {EACCES, ELOOP, ENOTDIR}:
            raise ExecError(f'exec: "{shown}": {os.strerror(errno).lower()}', NOT_EXECUTABLE)
        raise ExecError(f'exec: "{shown}": stat {shown}: {os.strerror(errno).lower()}', NOT_FOUND)
    path = next((entry[5:] for entry in reversed(env) if entry.startswith(b"PATH=")), DEFAULT_PATH)
    for directory in path.split(b":"):
        candidate = (directory or b".") + b"/" + name
        if name and _why_not(kernel, candidate) == 0:
            return candidate
    raise ExecError(f'exec: "{shown}": executable file not found in $PATH', NOT_FOUND)


def _why_not(kernel: Kernel, path: bytes) -> int:
    """0 for a regular file with an execute bit, else the errno that says what it is instead."""
    try:
        fd = kernel.openat2(c.AT_FDCWD, path, os.O_PATH, resolve=c.RESOLVE_NO_MAGICLINKS)
    except SyscallError as error:
        return error.errno
    mode = os.fstat(fd).st_mode
    os.close(fd)
    if stat.S_ISDIR(mode):
        return EISDIR
    return 0 if stat.S_ISREG(mode) and mode & 0o111 else EACCES

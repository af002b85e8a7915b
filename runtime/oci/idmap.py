"""User and group id maps: checked, written by the parent, or held in a user namespace for an idmapped mount.

The kernel takes at most 340 lines, all in one write; without privileges newuidmap and newgidmap write for us.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, SystemFailure
from runtime.linux import constants as c

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel

_MAX_LINES: Final = 340
_MAX_ID: Final = 2**32 - 1

Map = list[tuple[int, int, int]]
"""(first id inside, first id outside, how many)"""


def parse(mappings: list[dict[str, Any]] | None, what: str) -> Map:
    """The map in a spec's uidMappings or gidMappings; raises InvalidParameter."""
    parsed = [(int(m.get("containerID", 0)), int(m.get("hostID", 0)), int(m.get("size", 0))) for m in mappings or ()]
    if len(parsed) > _MAX_LINES:
        raise InvalidParameter(f"{what}: {len(parsed)} id mappings, the kernel takes {_MAX_LINES}")
    for inside, outside, size in parsed:
        if inside < 0 or outside < 0 or size <= 0 or max(inside, outside) + size - 1 > _MAX_ID:
            raise InvalidParameter(f"{what}: id mapping {inside} {outside} {size} is out of range")
    return parsed


def write(pid: int, uids: Map, gids: Map) -> None:
    """Give process `pid`, alone in a new user namespace, its maps; raises SystemFailure."""
    if os.geteuid() != 0:
        _by_program("newuidmap", pid, uids)
        _by_program("newgidmap", pid, gids)
        return
    _write_file(pid, "uid_map", uids)
    _write_file(pid, "gid_map", gids)


def user_namespace(kernel: Kernel, uids: Map, gids: Map) -> int:
    """A descriptor of a new user namespace with these maps, for MOUNT_ATTR_IDMAP."""
    reader, writer = os.pipe()
    pid, pidfd = kernel.clone3(c.CLONE_NEWUSER)
    if pid == 0:
        os.close(writer)
        os.read(reader, 1)  # until the parent is done with us
        os._exit(0)
    try:
        write(pid, uids, gids)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        for fd in (reader, writer, pidfd):
            os.close(fd)
        os.waitpid(pid, 0)


def _write_file(pid: int, name: str, lines: Map) -> None:
    text = "".join(f"{inside} {outside} {size}\n" for inside, outside, size in lines)
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, text.encode())
        finally:
            os.close(fd)
    except OSError as error:
        raise SystemFailure(f"{name} of process {pid}: {os.strerror(error.errno or 0).lower()}") from error


def _by_program(name: str, pid: int, lines: Map) -> None:
    words = [name, str(pid), *(str(number) for line in lines for number in line)]
    try:
        child = os.posix_spawnp(name, words, os.environ)
    except FileNotFoundError as error:
        raise SystemFailure(f"{name}: not installed, and id maps need root without it") from error
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise SystemFailure(f"{name} of process {pid}: failed with status {os.waitstatus_to_exitcode(status)}")

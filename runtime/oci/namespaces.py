"""Read `linux.namespaces`: which to create with the child, which to join by path.

A pid namespace is joined by the parent before the fork (setns only moves children); when a user namespace is created,
the others must be joined before it, because a fresh user namespace has no rights over them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, NotFound, NotSupported
from runtime.linux import constants as c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.linux.syscalls import Kernel

FLAGS: Final = {
    "user": c.CLONE_NEWUSER,
    "mount": c.CLONE_NEWNS,
    "network": c.CLONE_NEWNET,
    "uts": c.CLONE_NEWUTS,
    "ipc": c.CLONE_NEWIPC,
    "pid": c.CLONE_NEWPID,
    "cgroup": c.CLONE_NEWCGROUP,
    "time": c.CLONE_NEWTIME,
}
PROC_NAMES: Final = {
    c.CLONE_NEWUSER: "user",
    c.CLONE_NEWNS: "mnt",
    c.CLONE_NEWNET: "net",
    c.CLONE_NEWUTS: "uts",
    c.CLONE_NEWIPC: "ipc",
    c.CLONE_NEWPID: "pid",
    c.CLONE_NEWCGROUP: "cgroup",
    c.CLONE_NEWTIME: "time",
}
LATE: Final = c.CLONE_NEWCGROUP | c.CLONE_NEWTIME
"""Entered by the child itself: the cgroup namespace after the cgroup is joined, the time namespace after its offsets."""
_PATH_MAX: Final = 4096


class Namespaces:
    """`create`: flags of new namespaces; `join`: (flag, path) of existing ones, user first."""

    __slots__ = ("create", "join")

    def __init__(self, create: int, join: list[tuple[int, str]]) -> None:
        self.create = create
        self.join = join

    @property
    def own(self) -> int:
        """Flags of all that differ from the caller's, new or joined."""
        flags = self.create
        for flag, _ in self.join:
            flags |= flag
        return flags


def parse(linux: dict[str, Any]) -> Namespaces:
    """The namespaces of a spec's `linux` section; raises InvalidParameter, NotSupported."""
    create, join, seen = 0, [], 0
    for entry in linux.get("namespaces") or ():
        kind = str(entry.get("type"))
        flag = FLAGS.get(kind)
        if flag is None:
            raise InvalidParameter(f"namespace {kind}: unknown type")
        if seen & flag:
            raise InvalidParameter(f"namespace {kind}: given twice")
        seen |= flag
        path = entry.get("path")
        if not path:
            create |= flag
            continue
        if not path.startswith("/") or len(path) >= _PATH_MAX:
            raise InvalidParameter(f"namespace {kind}: path is not an absolute path of less than {_PATH_MAX} bytes")
        join.append((flag, path))
    if not create & c.CLONE_NEWNS:
        raise NotSupported("namespace mount: a container needs a mount namespace of its own")
    join.sort(key=lambda item: item[0] != c.CLONE_NEWUSER)
    return Namespaces(create, join)


def open_joined(namespaces: Namespaces) -> list[tuple[int, int]]:
    """(flag, descriptor) of each namespace to join; raises NotFound."""
    opened: list[tuple[int, int]] = []
    try:
        for flag, path in namespaces.join:
            opened.append((flag, os.open(path, os.O_RDONLY | os.O_CLOEXEC)))
    except OSError as error:
        close_joined(opened)
        raise NotFound(f"namespace {PROC_NAMES[flag]}: {path}: {os.strerror(error.errno or 0).lower()}") from error
    return opened


def close_joined(opened: list[tuple[int, int]]) -> None:
    for _, fd in opened:
        os.close(fd)


class visiting:  # noqa: N801  used as a statement: `with visiting(...)`
    """The caller, or for a pid namespace its next children, are in other namespaces meanwhile; restored at the end."""

    __slots__ = ("_back", "_kernel", "_there")

    def __init__(self, kernel: Kernel, there: list[tuple[int, int]]) -> None:
        self._kernel = kernel
        self._there = there
        self._back: list[tuple[int, int]] = []

    def __enter__(self) -> None:
        try:
            for flag, fd in self._there:
                self._back.append((flag, os.open(f"/proc/self/ns/{PROC_NAMES[flag]}", os.O_RDONLY | os.O_CLOEXEC)))
                self._kernel.setns(fd, flag)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_: object) -> None:
        for flag, fd in reversed(self._back):
            self._kernel.setns(fd, flag)
            os.close(fd)
        self._back.clear()


def names(flags: int) -> Iterator[str]:
    """The spec's names of the namespaces in `flags`."""
    return (name for name, flag in FLAGS.items() if flags & flag)

"""A terminal of the container's own devpts: the master goes out over a socket, the slave becomes stdio and /dev/console.

The slave is opened by TIOCGPTPEER from the master, not by the path pts/N, which others could have replaced
(CVE-2025-52565); the master only from a devpts, device 5:2.
"""

from __future__ import annotations

import os
import socket
import stat
import struct
from typing import TYPE_CHECKING, Final

from runtime.errors import SystemFailure
from runtime.linux import constants as c
from runtime.linux import saferesolve

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel
    from runtime.oci.mounts import Context

_PTMX: Final = os.makedev(5, 2)
_FLAGS: Final = os.O_RDWR | os.O_NOCTTY


def open_pair(kernel: Kernel, root: int, size: tuple[int, int] | None) -> tuple[int, int]:
    """(master, slave) of a new terminal below `root`; `size` is (rows, columns). Raises SystemFailure."""
    master = saferesolve.open_in_root(kernel, root, "/dev/pts/ptmx", _FLAGS)
    if os.fstat(master).st_rdev != _PTMX or kernel.fstatfs_type(master) != c.DEVPTS_SUPER_MAGIC:
        raise SystemFailure("/dev/pts/ptmx: is not a terminal multiplexer of devpts")
    kernel.ioctl(master, c.TIOCSPTLCK, struct.pack("=i", 0))
    slave = kernel.ioctl(master, c.TIOCGPTPEER, _FLAGS | os.O_CLOEXEC)
    status = os.fstat(slave)
    if not stat.S_ISCHR(status.st_mode) or os.major(status.st_rdev) != c.UNIX98_PTY_SLAVE_MAJOR:
        raise SystemFailure("/dev/pts: the terminal's other end is not a terminal")
    if size is not None:
        kernel.ioctl(master, c.TIOCSWINSZ, struct.pack("=HHHH", *size, 0, 0))
    return master, slave


def send_master(channel: int, master: int) -> None:
    """Pass the master over the unix socket `channel`, as OCI's --console-socket wants it."""
    with socket.socket(fileno=os.dup(channel)) as peer:
        socket.send_fds(peer, [b"/dev/pts/ptmx"], [master])


def adopt(kernel: Kernel, slave: int) -> None:
    """Make the slave stdio and the controlling terminal of the calling session leader."""
    kernel.ioctl(slave, c.TIOCSCTTY, 0)
    for fd in (0, 1, 2):
        os.dup2(slave, fd)


class Console:
    """The terminal of the container's first process; its master is sent to the context's console socket."""

    __slots__ = ("size",)

    def __init__(self, size: tuple[int, int] | None) -> None:
        self.size = size

    def describe(self) -> str:
        return "console"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        master, slave = open_pair(kernel, context.root, self.size)
        target = saferesolve.make_file(kernel, context.root, "/dev/console", 0o600)
        tree = kernel.open_tree(slave, "", c.OPEN_TREE_CLONE | c.AT_EMPTY_PATH)
        kernel.move_mount(tree, target)
        os.close(tree)
        os.close(target)
        send_master(context.console, master)
        os.close(master)
        context.slave = slave

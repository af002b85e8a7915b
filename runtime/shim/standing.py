"""Give the zygote a standing of its own: no terminal, no strangers' descriptors, a mount namespace, a tmpfs for bundles."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from runtime.linux import constants as c

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel
    from runtime.shim.respawn import HostNamespaces


def detach(kernel: Kernel, socket_fd: int) -> None:
    """Leave what the starter had; of its descriptors only 0 to 2 and `socket_fd` are kept."""
    kernel.set_name("pycomposezygote")
    kernel.prctl(c.PR_SET_DUMPABLE, 0)
    kernel.prctl(c.PR_SET_CHILD_SUBREAPER, 1)
    close_all_but({0, 1, 2, socket_fd})
    os.chdir("/")
    os.umask(0o022)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def leave_host(kernel: Kernel) -> HostNamespaces:
    """Enter a mount namespace that receives the host's mounts and sends none back; what was left, for the way back."""
    kept: HostNamespaces = {
        "pid": os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC),
        "mnt": os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC),
    }
    kernel.unshare(c.CLONE_NEWNS)
    kernel.mount("", "/", "", c.MS_REC | c.MS_SLAVE)
    return kept


def mount_bundles(kernel: Kernel, path: str) -> int:
    """A directory in memory, mounted at `path`, for what is written anew at each start.

    On a disk each of those files would cost more than the container's whole root: ext4 without a journal looks at every
    inode freed in the last seconds before it takes one.
    """
    os.makedirs(path, mode=0o700, exist_ok=True)
    kernel.mount("tmpfs", path, "tmpfs", c.MS_NOSUID | c.MS_NODEV | c.MS_NOEXEC, "mode=700")
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def close_all_but(keep: set[int]) -> None:
    """Close every descriptor that is not in `keep`."""
    first = 0
    for fd in sorted(keep):
        if fd > first:
            os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, 1 << 30)

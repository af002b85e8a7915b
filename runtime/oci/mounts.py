"""Mounts of a container as value objects: made and checked by `rootfs`, executed by the child.

Every target is resolved inside the root by openat2 and mounted on by descriptor (move_mount, or mount(2) on
/proc/self/fd/N of an O_PATH handle), so that a path swapped under our hands cannot lead outside. mount(2) is kept for
file systems because fsopen costs 8 us more; procfs is opened detached because it is written to before it is attached.
"""

from __future__ import annotations

import os
import stat
from errno import EPERM
from typing import TYPE_CHECKING, Protocol

from runtime.errors import InvalidParameter, SyscallError
from runtime.linux import constants as c
from runtime.linux import mountattr, saferesolve
from runtime.oci import copyup, idmap
from runtime.oci.mountopts import attributes

if TYPE_CHECKING:
    from runtime.linux.syscalls import Kernel
    from runtime.oci.mountopts import MountOptions

PSEUDO_ATTRIBUTES = c.MOUNT_ATTR_NOSUID | c.MOUNT_ATTR_NODEV | c.MOUNT_ATTR_NOEXEC
_CLONE = c.OPEN_TREE_CLONE
_TREE = c.OPEN_TREE_CLONE | c.AT_RECURSIVE
_PLAIN = c.RESOLVE_IN_ROOT | c.RESOLVE_NO_SYMLINKS
PROC_TARGETS = frozenset(
    f"/proc/{name}"
    for name in (
        *("cpuinfo", "diskstats", "meminfo", "stat", "swaps", "uptime", "loadavg", "slabinfo", "net/dev"),
        *("sys/kernel/ns_last_pid", "sys/crypto/fips_enabled"),
    )
)
"""Files that may be mounted over (lxcfs and the like); everything else below /proc carries writes of ours."""


class Context:
    """What the steps share in the child: the root's descriptor once there is one, procfs, the console's sockets."""

    __slots__ = ("console", "kernel", "procfs", "root", "slave", "userns")

    def __init__(self, kernel: Kernel, *, userns: bool = False, console: int = -1) -> None:
        self.kernel = kernel
        self.root = -1
        self.procfs = -1
        self.userns = userns
        self.console = console
        self.slave = -1

    def proc(self) -> int:
        """A procfs of the own pid namespace that nothing can have been mounted over: the attached one, or a private one."""
        if self.procfs < 0:
            self.procfs = _detached_proc(self.kernel, PSEUDO_ATTRIBUTES, [])
        return self.procfs


class Step(Protocol):
    """One thing to do to the root file system."""

    def describe(self) -> str:
        """The step in words, for plans in tests and for error messages."""
        ...

    def execute(self, context: Context) -> None:
        """Do it; raises SyscallError, InvalidParameter, OSError."""
        ...


class CopyUp:
    """An empty named volume takes over what the image has at its destination."""

    __slots__ = ("destination", "source")

    def __init__(self, source: str, destination: str) -> None:
        self.source = source
        self.destination = destination

    def describe(self) -> str:
        return f"copy up {self.destination} into {self.source}"

    def execute(self, context: Context) -> None:
        image = saferesolve.open_if_there(
            context.kernel, context.root, self.destination, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
        )
        if image is None:
            return
        try:
            if stat.S_ISDIR(os.fstat(image).st_mode):
                copyup.fill_empty(image, self.source)
        finally:
            os.close(image)


class Bind:
    """A host path in the container. A directory or file as the source is; `subpath` is resolved inside the source.

    With `namespace`, the file of a mount namespace, the source is a path in there: another container's /dev/shm.
    """

    __slots__ = ("destination", "mappings", "namespace", "options", "source", "subpath", "tree", "userns")

    def __init__(
        self,
        source: str,
        destination: str,
        options: MountOptions,
        *,
        subpath: str = "",
        mappings: tuple[idmap.Map, idmap.Map] | None = None,
        namespace: str = "",
    ) -> None:
        self.source = source
        self.destination = destination
        self.options = options
        self.subpath = subpath
        self.mappings = mappings
        self.namespace = namespace
        self.userns = -1
        self.tree = -1

    def open_user_namespace(self, kernel: Kernel) -> None:
        """Make what an idmapped mount refers to: by the parent, whose /proc knows the ids that clone3 returns."""
        if self.mappings is not None:
            self.userns = idmap.user_namespace(kernel, *self.mappings)

    def describe(self) -> str:
        read_only = " ro" if self.options.flags & c.MS_RDONLY else ""
        subpath = f" ({self.subpath})" if self.subpath else ""
        return f"bind {self.source}{subpath} on {self.destination}{read_only}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        if self.tree < 0:
            self.open_source(kernel)
        tree = self.tree
        over_proc = self.destination == "/proc" and kernel.fstatfs_type(tree) == c.PROC_SUPER_MAGIC
        if self.destination == "/proc" and not over_proc:
            raise InvalidParameter("mount /proc: only a procfs may be mounted there")
        target = open_target(context, self.destination, directory=stat.S_ISDIR(os.fstat(tree).st_mode))
        if self.userns >= 0:  # only a detached mount can be idmapped
            kernel.mount_setattr(tree, c.MOUNT_ATTR_IDMAP, userns=self.userns)
        kernel.move_mount(tree, target)
        self._set_attributes(kernel, tree)
        os.close(target)
        os.close(tree)

    def open_source(self, kernel: Kernel) -> None:
        """Hold a detached copy of the source."""
        flags = _TREE if self.options.bind & c.MS_REC else _CLONE
        if self.namespace:
            self.tree = _open_elsewhere(kernel, self.namespace, self.source, flags)
            return
        if not self.subpath:
            self.tree = kernel.open_tree(c.AT_FDCWD, self.source, flags)
            return
        base = os.open(self.source, os.O_PATH | os.O_CLOEXEC)
        try:
            inner = saferesolve.open_if_there(kernel, base, self.subpath)
        finally:
            os.close(base)
        if inner is None:
            raise InvalidParameter(
                f"mount {self.destination}: subpath {self.subpath} is not in the volume, make it first"
            )
        self.tree = kernel.open_tree(inner, "", flags | c.AT_EMPTY_PATH)
        os.close(inner)

    def _set_attributes(self, kernel: Kernel, tree: int) -> None:
        options = self.options
        # "rw" does not lift the read-only flag of a source: that is the host's decision
        attr_set, attr_clr = attributes(options.flags, options.cleared & ~c.MS_RDONLY)
        if attr_set or attr_clr:
            mountattr.change(kernel, tree, attr_set, attr_clr)
        if options.rec_flags or options.rec_cleared:
            mountattr.change(kernel, tree, *attributes(options.rec_flags, options.rec_cleared), recursive=True)
        if options.propagation:
            mountattr.propagate(kernel, tree, options.propagation)


class FileSystem:
    """A file system of any type on a directory."""

    __slots__ = ("destination", "fstype", "options", "source")

    def __init__(self, fstype: str, source: str, destination: str, options: MountOptions) -> None:
        self.fstype = fstype
        self.source = source
        self.destination = destination
        self.options = options

    def describe(self) -> str:
        data = f" ({','.join(self.options.data)})" if self.options.data else ""
        return f"{self.fstype} on {self.destination}{data}"

    def execute(self, context: Context) -> None:
        kernel, options = context.kernel, self.options
        target = open_target(context, self.destination, directory=True, plain=self.fstype == "sysfs")
        late_read_only = options.copy_up and options.flags & c.MS_RDONLY
        flags = options.flags & ~c.MS_RDONLY if late_read_only else options.flags
        try:
            kernel.mount(self.source, f"/proc/self/fd/{target}", self.fstype, flags, ",".join(options.data))
        except SyscallError as error:
            if self.fstype == "sysfs" and error.errno == EPERM and context.userns:
                self._bind_sys(kernel, target)  # the network namespace is not ours: what the host shows, read-only
                os.close(target)
                return
            raise SyscallError("mount", error.errno, self.destination) from error
        if options.propagation or options.copy_up:
            self._finish(context, target)
        os.close(target)

    def _finish(self, context: Context, covered: int) -> None:
        kernel, options = context.kernel, self.options
        mounted = saferesolve.open_in_root(kernel, context.root, self.destination)
        if options.copy_up:
            copyup.copy_tree_below(covered, mounted)
            if options.flags & c.MS_RDONLY:
                mountattr.change(kernel, mounted, c.MOUNT_ATTR_RDONLY)
        if options.propagation:
            mountattr.propagate(kernel, mounted, options.propagation)
        os.close(mounted)

    @staticmethod
    def _bind_sys(kernel: Kernel, target: int) -> None:
        tree = kernel.open_tree(c.AT_FDCWD, "/sys", _TREE)
        kernel.move_mount(tree, target)
        mountattr.change(kernel, tree, PSEUDO_ATTRIBUTES | c.MOUNT_ATTR_RDONLY, recursive=True)
        os.close(tree)


class Proc:
    """procfs of the container's pid namespace; the target must be a directory of its own, not a link."""

    __slots__ = ("destination", "options")

    def __init__(self, destination: str, options: MountOptions) -> None:
        self.destination = destination
        self.options = options

    def describe(self) -> str:
        return f"proc on {self.destination}"

    def execute(self, context: Context) -> None:
        attr_set, _ = attributes(self.options.flags, 0)
        context.procfs = _detached_proc(context.kernel, attr_set, self.options.data)
        target = open_target(context, self.destination, directory=True, plain=True)
        context.kernel.move_mount(context.procfs, target)
        os.close(target)


class Cgroups:
    """/sys/fs/cgroup: the container's own directories, read-only unless the spec says rw.

    Binds of them look the same as mounts from inside, and can be made before the cgroup is joined, which comes last.
    """

    __slots__ = ("destination", "directories", "read_only")

    def __init__(self, destination: str, directories: list[tuple[str, str]], *, read_only: bool) -> None:
        self.destination = destination
        self.directories = directories
        self.read_only = read_only

    def describe(self) -> str:
        names = " ".join(name or "unified" for name, _ in self.directories)
        return f"cgroups {names or 'none'} on {self.destination}{' ro' if self.read_only else ''}"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        target = open_target(context, self.destination, directory=True)
        wanted = PSEUDO_ATTRIBUTES | (c.MOUNT_ATTR_RDONLY if self.read_only else 0)
        if [name for name, _ in self.directories] == [""]:
            _attach_clone(kernel, self.directories[0][1], target, wanted)
            os.close(target)
            return
        flags = c.MS_NOSUID | c.MS_NODEV | c.MS_NOEXEC
        kernel.mount("tmpfs", f"/proc/self/fd/{target}", "tmpfs", flags, "mode=755,size=64k")
        os.close(target)
        top = saferesolve.open_in_root(kernel, context.root, self.destination)
        for name, source in self.directories:
            kernel.mkdirat(top, name, 0o755)
            _attach_clone(kernel, source, top, wanted, name)  # by name: nobody else knows this tmpfs yet
            for alias in name.split(",") if "," in name else ():
                kernel.symlinkat(name, top, alias)
        if self.read_only:
            mountattr.change(kernel, top, c.MOUNT_ATTR_RDONLY)
        os.close(top)


def open_target(context: Context, destination: str, *, directory: bool, plain: bool = False) -> int:
    """An O_PATH descriptor of the mount target, made if absent; `plain` refuses symbolic links on the way.

    A link that leads onto procfs is refused: what is mounted there would take writes meant for the kernel.
    """
    kernel, path = context.kernel, destination.lstrip("/")
    flags = os.O_PATH | os.O_DIRECTORY if directory else os.O_PATH
    fd = kernel.try_openat2(context.root, path, flags, resolve=_PLAIN)
    if fd < 0:
        fd = saferesolve.make_target(kernel, context.root, destination, directory=directory)
        if plain:
            os.close(fd)
            fd = kernel.openat2(context.root, path, flags, resolve=_PLAIN)
        if destination not in PROC_TARGETS and kernel.fstatfs_type(fd) == c.PROC_SUPER_MAGIC:
            raise InvalidParameter(f"mount {destination}: leads into /proc")
    elif not directory and stat.S_ISDIR(os.fstat(fd).st_mode):
        raise InvalidParameter(f"mount {destination}: is a directory in the image, the source is a file")
    return fd


def _open_elsewhere(kernel: Kernel, namespace: str, source: str, flags: int) -> int:
    """A detached copy of what is mounted in another mount namespace: the kernel copies only from the caller's own.

    Entering one moves root and directory into it. Only the single-threaded child may, before it has a root of its own.
    """
    home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    there = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    kernel.setns(there, c.CLONE_NEWNS)
    try:
        return kernel.open_tree(c.AT_FDCWD, source, flags)
    finally:
        kernel.setns(home, c.CLONE_NEWNS)
        os.fchdir(root)
        os.chroot(".")
        for fd in (home, root, there):
            os.close(fd)


def _attach_clone(kernel: Kernel, source: str, target: int, wanted: int, name: str = "") -> None:
    tree = kernel.open_tree(c.AT_FDCWD, source, _CLONE)
    kernel.move_mount(tree, target, name)
    mountattr.change(kernel, tree, wanted)
    os.close(tree)


def _detached_proc(kernel: Kernel, wanted: int, data: list[str]) -> int:
    context = kernel.fsopen("proc")
    try:
        kernel.fsconfig(context, c.FSCONFIG_SET_STRING, "source", "proc")
        for option in data:
            key, separator, value = option.partition("=")
            kernel.fsconfig(context, c.FSCONFIG_SET_STRING if separator else c.FSCONFIG_SET_FLAG, key, value)
        kernel.fsconfig(context, c.FSCONFIG_CMD_CREATE)
        return kernel.fsmount(context, wanted)
    finally:
        os.close(context)

"""The container's root as a mount: propagation, overlay or bind, what is put right in an image, read-only at the end."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from runtime.linux import constants as c
from runtime.linux import mountattr

if TYPE_CHECKING:
    from runtime.oci.mounts import Bind, Context

_OVERLAY_PAGE: Final = 4000


class Propagation:
    """Detach the mount namespace's events from the host's; `rslave` unless the spec says otherwise."""

    __slots__ = ("flags",)

    def __init__(self, flags: int) -> None:
        self.flags = flags

    def describe(self) -> str:
        return f"propagation {self.flags:#x}"

    def execute(self, context: Context) -> None:
        context.kernel.mount("", "/", "", self.flags)


class PrivateParent:
    """Where mounts propagate to the host, the mount below the root must not: pivot_root refuses it, and the root would
    appear on the host. Binds from that mount are opened first, for they are to stay shared."""

    __slots__ = ("binds", "path")

    def __init__(self, path: str, binds: list[Bind]) -> None:
        self.path = path
        self.binds = binds

    def describe(self) -> str:
        return f"{self.path} private"

    def execute(self, context: Context) -> None:
        for bind in self.binds:
            bind.open_source(context.kernel)
        context.kernel.mount("", self.path, "", c.MS_PRIVATE)


class Overlay:
    """An overlay as the root; lower layers with the topmost first, read-only without an upper one."""

    __slots__ = ("lower", "options", "target", "upper", "work")

    def __init__(self, lower: list[str], upper: str, work: str, target: str, options: list[str]) -> None:
        self.lower = lower
        self.upper = upper
        self.work = work
        self.target = target
        self.options = options

    def describe(self) -> str:
        return f"overlay {':'.join(self.lower)} upper {self.upper or 'none'} on {self.target}"

    def execute(self, context: Context) -> None:
        opened: list[int] = []
        lower = [_escape(path) for path in self.lower]
        if sum(map(len, lower)) + len(self.upper) + len(self.work) > _OVERLAY_PAGE:
            # mount(2) takes one page of options: descriptors are the shortest names of directories
            opened = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in self.lower]
            lower = [f"/proc/self/fd/{fd}" for fd in opened]
        data = f"lowerdir={':'.join(lower)}"
        if self.upper:
            data += f",upperdir={_escape(self.upper)},workdir={_escape(self.work)}"
        data = ",".join([data, *self.options])
        context.kernel.mount("overlay", self.target, "overlay", 0 if self.upper else c.MS_RDONLY, data)
        for fd in opened:
            os.close(fd)
        context.root = os.open(self.target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class BindRoot:
    """A directory bound onto itself as the root, because pivot_root wants a mount."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"bind {self.path} as root"

    def execute(self, context: Context) -> None:
        kernel = context.kernel
        here = os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        context.root = kernel.open_tree(here, "", c.OPEN_TREE_CLONE | c.AT_RECURSIVE | c.AT_EMPTY_PATH)
        kernel.move_mount(context.root, here)
        os.close(here)


class PlainDirectories:
    """Symbolic links of an image where our own file systems go are replaced by directories, as Docker's init layer does."""

    __slots__ = ("names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def describe(self) -> str:
        return f"plain directories {' '.join(self.names)}"

    def execute(self, context: Context) -> None:
        for name in self.names:
            fd = context.kernel.try_openat2(context.root, name, os.O_PATH | os.O_NOFOLLOW)
            if fd < 0:
                continue
            if stat.S_ISLNK(os.fstat(fd).st_mode):
                context.kernel.unlinkat(context.root, name)
                context.kernel.mkdirat(context.root, name, 0o755)
            os.close(fd)


class ReadOnlyRoot:
    """The root itself becomes read-only, once everything in it is made."""

    __slots__ = ()

    def describe(self) -> str:
        return "root read-only"

    def execute(self, context: Context) -> None:
        mountattr.change(context.kernel, context.root, c.MOUNT_ATTR_RDONLY)


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")

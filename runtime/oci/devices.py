"""Device nodes and links in the container's /dev.

Nodes are made by descriptor of the directory, never by a path that an image could have made a link. Where mknod is not
allowed (a user namespace) the host's node is bound instead.
"""

from __future__ import annotations

import os
import stat
from errno import EEXIST
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, SyscallError
from runtime.linux import constants as c
from runtime.linux import saferesolve

if TYPE_CHECKING:
    from runtime.oci.mounts import Context

# the specification's default devices
DEFAULTS: Final = (
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
)
LINKS: Final = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
)
_TYPES: Final = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_MAX_MAJOR: Final = 2**12 - 1
_MAX_MINOR: Final = 2**20 - 1


class Node:
    """One device: where, what, whose."""

    __slots__ = ("device", "gid", "mode", "path", "uid")

    def __init__(self, path: str, mode: int, device: int, uid: int = 0, gid: int = 0) -> None:
        self.path = path
        self.mode = mode
        self.device = device
        self.uid = uid
        self.gid = gid


def parse(devices: list[dict[str, Any]] | None) -> list[Node]:
    """The default devices and those of a spec's `linux.devices`, which win; raises InvalidParameter."""
    nodes = {path: Node(path, stat.S_IFCHR | 0o666, os.makedev(major, minor)) for path, major, minor in DEFAULTS}
    for entry in devices or ():
        path, kind = str(entry.get("path")), str(entry.get("type"))
        if not path.startswith("/") or ".." in path.split("/"):
            raise InvalidParameter(f"device {path}: path is not absolute")
        if kind not in _TYPES:
            raise InvalidParameter(f"device {path}: unknown type {kind}")
        mode = entry.get("fileMode")
        major, minor = int(entry.get("major") or 0), int(entry.get("minor") or 0)
        if not (0 <= major <= _MAX_MAJOR and 0 <= minor <= _MAX_MINOR):
            raise InvalidParameter(f"device {path}: no device has the number {major}:{minor}")
        nodes[path] = Node(
            path,
            _TYPES[kind] | (0o666 if mode is None else int(mode) & 0o7777),
            0 if kind == "p" else os.makedev(major, minor),
            int(entry.get("uid") or 0),
            int(entry.get("gid") or 0),
        )
    return list(nodes.values())


class Devices:
    """All nodes, then the usual links."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: list[Node]) -> None:
        self.nodes = nodes

    def describe(self) -> str:
        return f"devices {' '.join(node.path for node in self.nodes)}"

    def execute(self, context: Context) -> None:
        dev = saferesolve.make_directory(context.kernel, context.root, "/dev")
        for node in self.nodes:
            if context.userns:
                _bind_host_node(context, node)
                continue
            name = node.path.removeprefix("/dev/")
            if "/" not in name:
                _make_node(context, dev, name, node)
                continue
            directory, name = os.path.split(node.path)
            parent = saferesolve.make_directory(context.kernel, context.root, directory)
            _make_node(context, parent, name, node)
            os.close(parent)
        for name, target in LINKS:
            _make_link(context, dev, name, target)
        os.close(dev)


def _make_node(context: Context, directory: int, name: str, node: Node) -> None:
    try:
        context.kernel.mknodat(directory, name, node.mode, node.device)
    except SyscallError as error:
        if error.errno != EEXIST:
            raise
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_IFMT(found.st_mode) == stat.S_IFMT(node.mode) and found.st_rdev == node.device:
            return
        context.kernel.unlinkat(directory, name)
        context.kernel.mknodat(directory, name, node.mode, node.device)
    if node.uid or node.gid:
        os.chown(name, node.uid, node.gid, dir_fd=directory, follow_symlinks=False)


def _make_link(context: Context, directory: int, name: str, target: str) -> None:
    try:
        context.kernel.symlinkat(target, directory, name)
    except SyscallError as error:
        if error.errno != EEXIST:
            raise
        if name != "ptmx" or stat.S_ISLNK(os.stat(name, dir_fd=directory, follow_symlinks=False).st_mode):
            return
        context.kernel.unlinkat(directory, name)  # a ptmx node of the image would be the host's terminals
        context.kernel.symlinkat(target, directory, name)


def _bind_host_node(context: Context, node: Node) -> None:
    target = saferesolve.make_file(context.kernel, context.root, node.path)
    tree = context.kernel.open_tree(c.AT_FDCWD, node.path, c.OPEN_TREE_CLONE)
    context.kernel.move_mount(tree, target)
    os.close(tree)
    os.close(target)

"""Derive the list of steps that make a container's root file system from its spec: pure, and checked as a whole.

Order is what matters: sysctls before /proc/sys becomes read-only, nodes after /dev is mounted, masks after everything
that could be mounted over them, the root read-only last.
"""

from __future__ import annotations

import os
from errno import ENOTDIR
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter, SyscallError
from runtime.linux import constants as c
from runtime.linux import saferesolve
from runtime.oci import devices, idmap, mountopts, mounts, rootmount, sysctl
from runtime.oci.console import Console
from runtime.oci.masks import MaskedPaths, ReadOnlyPaths

if TYPE_CHECKING:
    from runtime.oci.mounts import Context, Step

_PROPAGATION: Final = {
    "": c.MS_SLAVE,
    "private": c.MS_PRIVATE,
    "rprivate": c.MS_PRIVATE,
    "slave": c.MS_SLAVE,
    "rslave": c.MS_SLAVE,
    "shared": c.MS_SHARED,
    "rshared": c.MS_SHARED,
    "unbindable": c.MS_UNBINDABLE,
    "runbindable": c.MS_UNBINDABLE,
}
_PLAIN: Final = ("proc", "sys", "dev")
_MAX_DESTINATION: Final = 4096


class WorkingDirectory:
    """The process's directory is made if the image lacks it."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"working directory {self.path}"

    def execute(self, context: Context) -> None:
        try:
            os.close(saferesolve.make_directory(context.kernel, context.root, self.path))
        except SyscallError as error:
            if error.errno != ENOTDIR:
                raise
            raise InvalidParameter(f"{self.describe()}: is not a directory in the image") from error


def propagation(spec: dict[str, Any]) -> int:
    """The MS_* propagation type of the container's mount tree; raises InvalidParameter."""
    name = (spec.get("linux") or {}).get("rootfsPropagation") or ""
    if name not in _PROPAGATION:
        raise InvalidParameter(f"rootfsPropagation {name}: unknown")
    return _PROPAGATION[name]


def build(
    spec: dict[str, Any], root: str, directories: list[tuple[str, str]], own: int, shared_parent: str
) -> list[Step]:
    """The steps for `spec` with its root at the absolute path `root`.

    `directories` are the container's cgroup directories, `own` the flags of its own namespaces, `shared_parent` the
    mount point that holds `root` where mounts shall propagate to the host. Raises InvalidParameter.
    """
    linux, process = spec.get("linux") or {}, spec.get("process") or {}
    wanted = propagation(spec)
    # a fresh copy of shared mounts must stop being a peer of the host's at once; unbindable is for the root alone
    first = wanted if wanted in {c.MS_PRIVATE, c.MS_SHARED} else c.MS_SLAVE
    entries = [step for entry in spec.get("mounts") or () for step in _mount(entry, directories)]
    binds = [step for step in entries if isinstance(step, mounts.Bind)]
    steps: list[Step] = [rootmount.Propagation(first | c.MS_REC)]
    if first == c.MS_SHARED:
        steps.append(rootmount.PrivateParent(shared_parent, binds))
    steps += [*_root(spec, root), *entries]
    if not any(bind.destination == "/dev" for bind in binds):
        steps.append(devices.Devices(devices.parse(linux.get("devices"))))
    if process.get("terminal"):
        steps.append(Console(console_size(process)))
    if linux.get("sysctl"):
        steps.append(sysctl.check(linux["sysctl"], own))
    if linux.get("readonlyPaths"):
        steps.append(ReadOnlyPaths(_absolute(linux["readonlyPaths"], "readonlyPaths")))
    if linux.get("maskedPaths"):
        steps.append(MaskedPaths(_absolute(linux["maskedPaths"], "maskedPaths")))
    if process.get("cwd", "/") != "/":
        steps.append(WorkingDirectory(process["cwd"]))
    if (spec.get("root") or {}).get("readonly"):
        steps.append(rootmount.ReadOnlyRoot())
    return steps


def build_at_rest(spec: dict[str, Any], root: str) -> list[Step]:
    """The steps for the files of a container that does not run: its root, and what is bound into it.

    Of `spec` the keys x-rootfs, root and mounts count. Raises InvalidParameter.
    """
    steps: list[Step] = [rootmount.Propagation(c.MS_SLAVE | c.MS_REC), *_root(spec, root)]
    for entry in spec.get("mounts") or ():
        options = mountopts.parse(list(entry.get("options") or ()))
        if options.bind or entry.get("type") == "bind":
            steps += _bind(entry, _destination(entry), options)
    if (spec.get("root") or {}).get("readonly"):
        steps.append(rootmount.ReadOnlyRoot())
    return steps


def console_size(process: dict[str, Any]) -> tuple[int, int] | None:
    """(rows, columns) of the process's terminal, None where the spec is silent."""
    size = process.get("consoleSize") or {}
    if not size.get("height") and not size.get("width"):
        return None
    return int(size.get("height", 0)) & 0xFFFF, int(size.get("width", 0)) & 0xFFFF


def _root(spec: dict[str, Any], root: str) -> list[Step]:
    layers = spec.get("x-rootfs")
    if not layers:
        return [rootmount.BindRoot(root)]
    if layers.get("type") != "overlay" or not layers.get("lowerdir"):
        raise InvalidParameter(
            f"x-rootfs of type {layers.get('type')}: only an overlay with lower directories is known"
        )
    upper = layers.get("upperdir") or ""
    options = list(layers.get("options") or ())
    overlay = rootmount.Overlay(list(layers["lowerdir"]), upper, layers.get("workdir") or "", root, options)
    return [overlay, rootmount.PlainDirectories(_PLAIN)] if upper else [overlay]


def _mount(entry: dict[str, Any], directories: list[tuple[str, str]]) -> list[Step]:
    fstype = str(entry.get("type") or "")
    destination = _destination(entry)
    options = mountopts.parse(list(entry.get("options") or ()))
    if options.bind or fstype == "bind":
        return _bind(entry, destination, options)
    _check_over_proc(destination, fstype)
    if fstype == "proc":
        return [mounts.Proc(destination, options)]
    if fstype in {"cgroup", "cgroup2"}:
        return [mounts.Cgroups(destination, directories, read_only=bool(options.flags & c.MS_RDONLY))]
    if not fstype:
        raise InvalidParameter(f"mount {destination}: has neither a type nor the option bind")
    return [mounts.FileSystem(fstype, str(entry.get("source") or fstype), destination, options)]


def _bind(entry: dict[str, Any], destination: str, options: mountopts.MountOptions) -> list[Step]:
    source = str(entry.get("source") or "")
    if not source.startswith("/") or "\0" in source:
        raise InvalidParameter(f"mount {destination}: source {source!r} is not an absolute path")
    if options.data:
        raise InvalidParameter(f"mount {destination}: unknown option {options.data[0]!r} for a bind")
    if destination != "/proc":  # a procfs bound there is recognised by descriptor when it is mounted
        _check_over_proc(destination, "bind")
    options.bind = options.bind or c.MS_BIND | c.MS_REC
    mappings = None
    if entry.get("uidMappings") or entry.get("gidMappings"):
        uids = idmap.parse(entry.get("uidMappings"), f"mount {destination}")
        gids = idmap.parse(entry.get("gidMappings"), f"mount {destination}")
        mappings = (uids, gids)
    subpath = str(entry.get("x-subpath") or "")
    namespace = str(entry.get("x-mount-namespace") or "")
    bind = mounts.Bind(source, destination, options, subpath=subpath, mappings=mappings, namespace=namespace)
    return [mounts.CopyUp(source, destination), bind] if entry.get("x-copy-up") else [bind]


def _destination(entry: dict[str, Any]) -> str:
    given = str(entry.get("destination") or "")
    if "\0" in given or len(given.encode(errors="surrogateescape")) >= _MAX_DESTINATION:
        raise InvalidParameter("mount: destination is not a path")
    path = "/" + os.path.normpath("/" + given).lstrip("/")
    if path == "/":
        raise InvalidParameter(f"mount {given or '(none)'}: destination is not a path below the root")
    return path


def _check_over_proc(destination: str, fstype: str) -> None:
    if destination == "/proc" and fstype == "proc":
        return
    if (destination == "/proc" or destination.startswith("/proc/")) and destination not in mounts.PROC_TARGETS:
        raise InvalidParameter(f"mount {destination}: nothing may be mounted over /proc")


def _absolute(paths: list[str], what: str) -> list[str]:
    for path in paths:
        if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
            raise InvalidParameter(f"{what}: {path!r} is not an absolute path")
    return paths

"""Device nodes of this machine, as entries for the OCI spec: the one part of a spec that must look at the host."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from runtime.wire.containers import HostConfig

_DEV: Final = "/dev"
_SKIPPED: Final = frozenset({"pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"})
"""Directories of /dev that a container has its own of."""
_BLOCK_KEYS: Final = (
    "BlkioWeightDevice",
    "BlkioDeviceReadBps",
    "BlkioDeviceWriteBps",
    "BlkioDeviceReadIOps",
    "BlkioDeviceWriteIOps",
)


def gather(host: HostConfig) -> dict[str, list[dict[str, Any]]]:
    """The nodes at or below each path that `Devices` names, and below /dev for a privileged container.

    Keyed by the path asked for; raises InvalidParameter for one that is absent or holds no device.
    """
    found = {mapping["PathOnHost"]: _named(mapping["PathOnHost"]) for mapping in host.get("Devices") or ()}
    if host.get("Privileged"):
        found[_DEV] = list(_below(_DEV))
    return found


def block_numbers(host: HostConfig) -> dict[str, tuple[int, int]]:
    """Major and minor number of each block device that a limit names; absent ones are left out."""
    entries: list[dict[str, Any]] = [entry for key in _BLOCK_KEYS for entry in host.get(key) or ()]  # type: ignore[attr-defined]
    numbers = {}
    for path in {str(entry.get("Path")) for entry in entries}:
        try:
            status = os.stat(path)
        except OSError:
            continue
        if stat.S_ISBLK(status.st_mode):
            numbers[path] = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return numbers


def _named(path: str) -> list[dict[str, Any]]:
    try:
        mode = os.stat(path).st_mode
        found = list(_below(path)) if stat.S_ISDIR(mode) else [_entry(path)]
    except OSError as error:
        raise InvalidParameter(f"device {path}: {os.strerror(error.errno or 0).lower()}", path=path) from None
    devices = [entry for entry in found if entry is not None]
    if not devices:
        raise InvalidParameter(f"device {path}: not a device node", path=path)
    return devices


def _below(directory: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in sorted(os.listdir(directory)):
        path = f"{directory}/{name}"
        try:
            mode = os.lstat(path).st_mode
            if stat.S_ISDIR(mode):
                if not (directory == _DEV and name in _SKIPPED):
                    found += _below(path)
            elif not stat.S_ISLNK(mode) and path != "/dev/console":
                entry = _entry(path)
                if entry is not None:
                    found.append(entry)
        except OSError:
            continue  # unplugged between listing and looking
    return found


def _entry(path: str) -> dict[str, Any] | None:
    status = os.stat(path)
    if stat.S_ISCHR(status.st_mode):
        kind = "c"
    elif stat.S_ISBLK(status.st_mode):
        kind = "b"
    else:
        return None
    return {
        "path": path,
        "type": kind,
        "major": os.major(status.st_rdev),
        "minor": os.minor(status.st_rdev),
        "fileMode": stat.S_IMODE(status.st_mode),
        "uid": status.st_uid,
        "gid": status.st_gid,
    }

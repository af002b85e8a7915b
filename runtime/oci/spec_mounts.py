"""The mounts of a container's spec: the defaults, then the user's, outer ones before those inside them."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter
from runtime.oci import defaults
from runtime.oci.spec_namespaces import is_host

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from runtime.wire.containers import HostConfig

_TMPFS_DEFAULT: Final = ("noexec", "nosuid", "nodev")
_TMPFS_DATA: Final = frozenset({"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"})
_TOGGLES: Final = (
    *("ro rw", "exec noexec", "suid nosuid", "dev nodev", "sync async", "atime noatime", "diratime nodiratime"),
    *("relatime norelatime", "strictatime nostrictatime", "mand nomand", "defaults"),
)
_TOGGLE_OF: Final = {name: toggle for toggle in _TOGGLES for name in toggle.split()}
_PROPAGATION: Final = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_STAY_WRITABLE: Final = frozenset({"/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"})


def mounts(
    host: HostConfig,
    user_mounts: Sequence[dict[str, Any]],
    files: Sequence[dict[str, Any]],
    *,
    shm_source: str = "",
    writable_cgroups: bool = False,
) -> list[dict[str, Any]]:
    """`mounts` of the spec.

    `user_mounts` are resolved binds and volumes, `files` the engine's own (/etc/hosts ...), which give way to a user's
    mount at the same place and are read-only in a read-only container. Tmpfs come from `host`. A user's mount replaces
    a default one at its place; one on /dev replaces all below it. Raises InvalidParameter.
    """
    own = [_checked(entry) for entry in user_mounts]
    taken = _unique(own)
    tmpfs = [entry for entry in _all_tmpfs(host) if entry["destination"] not in taken]
    taken |= _unique(tmpfs)
    privileged, read_only = bool(host.get("Privileged")), bool(host.get("ReadonlyRootfs"))
    system = [
        _adapted(entry, host, shm_source, writable=privileged or (writable_cgroups and entry["type"] == "cgroup"))
        for entry in defaults.mounts()
        if entry["destination"] not in taken
        and not ("/dev" in taken and entry["destination"].startswith("/dev/"))
        and not (entry["destination"] == "/dev/shm" and host.get("IpcMode") == "none")
    ]
    engine = [_read_only(entry) if read_only else entry for entry in files if entry["destination"] not in taken]
    if read_only:
        system = [
            entry if entry["destination"] in _STAY_WRITABLE or privileged else _read_only(entry) for entry in system
        ]
    return [*system, *sorted([*own, *tmpfs, *engine], key=lambda entry: entry["destination"].count("/"))]


def tmpfs_options(text: str) -> list[str]:
    """Mount options of a tmpfs: Docker's defaults, overridden by those of the comma-separated `text`.

    Raises InvalidParameter for an option that tmpfs does not have.
    """
    chosen: dict[str, str] = {}
    for option in (*_TMPFS_DEFAULT, *(part for part in text.split(",") if part)):
        key, separator, _ = option.partition("=")
        if separator and key in _TMPFS_DATA:
            chosen.pop(key, None)
            chosen[key] = option
        elif not separator and option in _TOGGLE_OF:
            chosen[_TOGGLE_OF[option]] = option
        elif option in _PROPAGATION:
            chosen["propagation"] = option
        else:
            raise InvalidParameter(f'invalid tmpfs option "{key}"')
    return list(chosen.values())


def propagation(entries: Iterable[dict[str, Any]]) -> str:
    """`linux.rootfsPropagation`: events of the host's mounts come in; they go out only for a shared mount."""
    shared = any(option in ("shared", "rshared") for entry in entries for option in entry.get("options") or ())
    return "shared" if shared else "rslave"


def _all_tmpfs(host: HostConfig) -> list[dict[str, Any]]:
    found = [_tmpfs(path, text) for path, text in (host.get("Tmpfs") or {}).items()]
    for mount in host.get("Mounts") or ():
        if mount.get("Type") != "tmpfs":
            continue
        options = mount.get("TmpfsOptions") or {}
        parts = [f"size={options['SizeBytes']}"] if options.get("SizeBytes") else []
        parts += [f"mode={options['Mode']:o}"] if options.get("Mode") else []
        # Docker keeps each option as a list: its name and perhaps a value.
        parts += ["=".join(option) for option in options.get("Options") or ()]
        parts += ["ro"] if mount.get("ReadOnly") else []
        found.append(_tmpfs(mount.get("Target") or "", ",".join(parts)))
    return found


def _tmpfs(path: str, text: str) -> dict[str, Any]:
    entry = {"destination": path, "type": "tmpfs", "source": "tmpfs", "options": tmpfs_options(text)}
    return _checked(entry)


def _checked(entry: dict[str, Any]) -> dict[str, Any]:
    destination = str(entry.get("destination") or "")
    if not destination.startswith("/") or "\0" in destination:
        raise InvalidParameter(f"invalid mount path: '{destination}' mount path must be absolute", path=destination)
    clean = "/" + posixpath.normpath(destination).lstrip("/")
    if clean == "/":
        raise InvalidParameter("invalid specification: destination can't be '/'", path=destination)
    return {**entry, "destination": clean}


def _unique(entries: Iterable[dict[str, Any]]) -> set[str]:
    seen: set[str] = set()
    for entry in entries:
        if entry["destination"] in seen:
            raise InvalidParameter(f"duplicate mount point: {entry['destination']}", path=entry["destination"])
        seen.add(entry["destination"])
    return seen


def _adapted(entry: dict[str, Any], host: HostConfig, shm_source: str, *, writable: bool) -> dict[str, Any]:
    if entry["destination"] == "/dev/shm":
        return _shm(entry, host, shm_source)
    if writable and "ro" in entry["options"]:
        return {**entry, "options": [option for option in entry["options"] if option != "ro"]}
    return entry


def _shm(entry: dict[str, Any], host: HostConfig, source: str) -> dict[str, Any]:
    if is_host(host, "ipc") or source:
        bind = {
            "destination": entry["destination"],
            "type": "bind",
            "source": "/dev/shm",
            "options": ["rbind", "rprivate"],  # executable where the host's is, as for programs outside
        }
        return {**bind, "x-mount-namespace": source} if source else bind
    size = host.get("ShmSize") or defaults.SHM_SIZE
    if size < 0:
        raise InvalidParameter("SHM size can not be less than 0")
    return {**entry, "options": [*entry["options"], f"size={size}"]}


def _read_only(entry: dict[str, Any]) -> dict[str, Any]:
    options = entry.get("options") or []
    return entry if "ro" in options else {**entry, "options": [*options, "ro"]}

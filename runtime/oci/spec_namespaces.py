"""Which namespaces a container has, from Docker's modes.

The network namespace is never made here: it is the sandbox's, which outlives the container; the shim, which holds it
under that name, puts in the descriptor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from runtime.wire.containers import HostConfig

HELD_NETNS: Final = "held:netns"
_CONTAINER: Final = "container:"
_MODES: Final = {
    "ipc": ("IpcMode", "IPC", ("", "private", "shareable", "none", "host")),
    "pid": ("PidMode", "PID", ("", "private", "host")),
    "uts": ("UTSMode", "UTS", ("", "private", "host")),
    "cgroup": ("CgroupnsMode", "cgroup namespace", ("", "private", "host")),
}
_JOINABLE: Final = ("ipc", "pid")


def is_host(host: HostConfig, kind: str) -> bool:
    """Whether the container shares the host's namespace of this kind (`network`, `ipc`, `pid`, `uts`)."""
    return _mode(host, kind) == "host"


def joined(host: HostConfig, kind: str) -> str:
    """The id of the container whose namespace of this kind is shared, or an empty text."""
    mode = _mode(host, kind)
    return mode.removeprefix(_CONTAINER) if mode.startswith(_CONTAINER) else ""


def namespaces(host: HostConfig, *, paths: Mapping[str, str], cgroup_version: int) -> list[dict[str, Any]]:
    """`linux.namespaces`; `paths` has the namespace files of the containers that are joined, keyed by kind.

    Raises InvalidParameter for a mode that does not exist and for a container that cannot be joined.
    """
    out: list[dict[str, Any]] = [{"type": "mount"}]
    if not is_host(host, "network"):
        out.append({"type": "network", "path": paths.get("network") or HELD_NETNS})
    for kind, (field, title, valid) in _MODES.items():
        mode = _mode(host, kind)
        target = joined(host, kind)
        if mode not in valid and not (kind in _JOINABLE and target):
            raise InvalidParameter(f"invalid {title} mode: {mode}", field=field)
        if mode == "host" or (kind == "cgroup" and _shows_host_cgroups(host, mode, cgroup_version)):
            continue
        entry = {"type": kind}
        if target:
            if not paths.get(kind):
                raise InvalidParameter(f"cannot join {title} of a non running container: {target}", container=target)
            entry["path"] = paths[kind]
        out.append(entry)
    return out


def _shows_host_cgroups(host: HostConfig, mode: str, cgroup_version: int) -> bool:
    """A privileged container manages cgroups; on v1 it then needs the host's view of them, as with Docker."""
    return not mode and bool(host.get("Privileged")) and cgroup_version == 1


def _mode(host: HostConfig, kind: str) -> str:
    field = "NetworkMode" if kind == "network" else _MODES[kind][0]
    return str(host.get(field) or "")

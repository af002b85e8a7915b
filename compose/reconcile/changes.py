"""Name the parts of a container's configuration that differ from what the service says now.

A hash only tells that something changed. This compares what would be created with what was, part by part; parts that
the engine completes (environment, labels of the image) count as changed only where ours is not in theirs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import ComposeError
from compose.reconcile.container_body import create_container

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compose.reconcile.desired import DesiredService
    from compose.reconcile.observed import ObservedContainer
    from compose.reconcile.up_draft import UpDraft


def changed_parts(draft: UpDraft, service: DesiredService, container: ObservedContainer) -> tuple[str, ...]:
    """Attributes of the service, in the words of the compose file; empty if nothing can be told."""
    try:
        wanted: Mapping[str, Any] = create_container(draft.instance(service, container.number))
    except ComposeError:
        # Why: a reference that cannot be resolved is reported when the container is made, with a better place
        return ()
    was: Mapping[str, Any] = container.raw
    return tuple(
        dict.fromkeys(
            word
            for word, section, key, differs in PARTS
            if differs((wanted.get(section) or {}).get(key), (was.get(section) or {}).get(key))
        )
    )


def _differs(wanted: Any, was: Any) -> bool:
    return bool(wanted or was) and wanted != was


def _said_differs(wanted: Any, was: Any) -> bool:
    return wanted is not None and wanted != was


def _not_within(wanted: Any, was: Any) -> bool:
    there = was or []
    return any(item not in there for item in wanted or [])


def _label_differs(wanted: Any, was: Any) -> bool:
    there = was or {}
    return any(
        there.get(name) != value for name, value in (wanted or {}).items() if not name.startswith("com.docker.compose.")
    )


def _mounts_differ(wanted: Any, was: Any) -> bool:
    def key(mount: Mapping[str, Any]) -> tuple[Any, ...]:
        return (mount.get("Type"), mount.get("Source", ""), mount.get("Target"), bool(mount.get("ReadOnly")))

    return sorted(map(key, wanted or ()), key=str) != sorted(map(key, was or ()), key=str)


PARTS: tuple[tuple[str, str, str, Callable[[Any, Any], bool]], ...] = (
    ("image", "Config", "Image", _differs),
    ("command", "Config", "Cmd", _said_differs),
    ("entrypoint", "Config", "Entrypoint", _said_differs),
    ("environment", "Config", "Env", _not_within),
    ("labels", "Config", "Labels", _label_differs),
    ("user", "Config", "User", _said_differs),
    ("working_dir", "Config", "WorkingDir", _said_differs),
    ("hostname", "Config", "Hostname", _said_differs),
    ("healthcheck", "Config", "Healthcheck", _said_differs),
    ("stop_signal", "Config", "StopSignal", _said_differs),
    ("stop_grace_period", "Config", "StopTimeout", _said_differs),
    ("ports", "HostConfig", "PortBindings", _differs),
    ("volumes", "HostConfig", "Mounts", _mounts_differ),
    ("tmpfs", "HostConfig", "Tmpfs", _differs),
    ("network_mode", "HostConfig", "NetworkMode", _said_differs),
    ("restart", "HostConfig", "RestartPolicy", _said_differs),
    ("privileged", "HostConfig", "Privileged", _differs),
    ("read_only", "HostConfig", "ReadonlyRootfs", _differs),
    ("cap_add", "HostConfig", "CapAdd", _differs),
    ("cap_drop", "HostConfig", "CapDrop", _differs),
    ("security_opt", "HostConfig", "SecurityOpt", _said_differs),
    ("logging", "HostConfig", "LogConfig", _said_differs),
    ("extra_hosts", "HostConfig", "ExtraHosts", _differs),
    ("dns", "HostConfig", "Dns", _differs),
    ("sysctls", "HostConfig", "Sysctls", _said_differs),
    ("ulimits", "HostConfig", "Ulimits", _said_differs),
    ("devices", "HostConfig", "Devices", _differs),
    ("memory", "HostConfig", "Memory", _differs),
    ("cpus", "HostConfig", "NanoCpus", _differs),
    ("pids_limit", "HostConfig", "PidsLimit", _said_differs),
    ("init", "HostConfig", "Init", _said_differs),
)

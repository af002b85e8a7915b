"""What the engine remembers, as it lies on disk: one JSON file an object, written whole.

Disk is the truth and memory a cache: a record holds everything that a new engine needs to take an object over, and
nothing that it can ask the kernel or a shim for.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Self, cast

if TYPE_CHECKING:
    from runtime.wire.containers import (
        ContainerConfig,
        ContainerStatus,
        Dependency,
        EndpointSettings,
        HostConfig,
        MountPoint,
    )

ZERO_TIME = "0001-01-01T00:00:00Z"
"""Docker's way to say never."""


class _Record:
    """Conversion to and from JSON; unknown keys of a newer version are dropped, absent ones take their default."""

    SCHEMA: str = ""

    def to_json(self) -> dict[str, Any]:
        data = {item.name: getattr(self, item.name) for item in fields(cast("Any", self))}
        return {"schema": self.SCHEMA, **data}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """Raises KeyError or TypeError when a required field is missing or the schema is another one."""
        if data["schema"] != cls.SCHEMA:
            raise TypeError(f"schema is {data['schema']!r}, expected {cls.SCHEMA!r}")
        known = {item.name for item in fields(cast("Any", cls))}
        return cls(**{key: value for key, value in data.items() if key in known})


@dataclass(kw_only=True, slots=True)
class ContainerRecord(_Record):
    """A container: what was asked for, what was decided at its creation, and how its last run went."""

    id: str
    name: str
    created: str
    image: str
    """The image's id."""
    config: ContainerConfig
    host_config: HostConfig
    endpoints: dict[str, EndpointSettings] = field(default_factory=dict)
    dependencies: list[Dependency] = field(default_factory=list)
    port_group: str = ""
    files: list[dict[str, Any]] = field(default_factory=list)
    mounts: list[MountPoint] = field(default_factory=list)
    oci_mounts: list[dict[str, Any]] = field(default_factory=list)
    anonymous_volumes: list[str] = field(default_factory=list)

    status: ContainerStatus = "created"
    run: int = 0
    """Counts the starts: an exit record of another run is not ours."""
    pid: int = 0
    pid_start: int = 0
    boot_id: str = ""
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_at: str = ZERO_TIME
    finished_at: str = ZERO_TIME
    restart_count: int = 0
    manually_stopped: bool = False
    published: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    """Bindings in force, keyed `80/tcp`: an ephemeral port stays the same over restarts of the engine."""

    SCHEMA = "state/container/v1"


@dataclass(kw_only=True, slots=True)
class NetworkRecord(_Record):
    """A network: its definition and its subnets; the leases are in the containers' endpoints."""

    id: str
    name: str
    created: str
    driver: str
    subnets: list[dict[str, Any]] = field(default_factory=list)
    """`Subnet`, `Gateway`, `IPRange`, `AuxiliaryAddresses`."""
    internal: bool = False
    attachable: bool = False
    enable_ipv6: bool = False
    options: dict[str, str] = field(default_factory=dict)
    ipam_options: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    bridge: str = ""

    SCHEMA = "state/network/v1"

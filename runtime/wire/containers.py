"""Containers in the terms of the Docker Engine API (v1.51): what `create` takes and what `inspect` gives back.

Plain typed dictionaries: they cross sockets and disks as JSON. Durations are nanoseconds, sizes bytes, times RFC 3339
with nanoseconds in UTC, ids 64 hexadecimal digits.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict


class HealthConfig(TypedDict, total=False):
    Test: list[str]
    """`["NONE"]`, `["CMD", ...]` or `["CMD-SHELL", "line"]`."""
    Interval: int
    Timeout: int
    StartPeriod: int
    StartInterval: int
    Retries: int


class ContainerConfig(TypedDict, total=False):
    Hostname: str
    Domainname: str
    User: str
    AttachStdin: bool
    OpenStdin: bool
    StdinOnce: bool
    Tty: bool
    Env: list[str]
    Cmd: list[str] | None
    Entrypoint: list[str] | None
    Image: str
    Volumes: dict[str, dict[str, Any]]
    WorkingDir: str
    ExposedPorts: dict[str, dict[str, Any]]
    Labels: dict[str, str]
    StopSignal: str
    StopTimeout: int
    Healthcheck: HealthConfig


class PortBinding(TypedDict, total=False):
    HostIp: str
    HostPort: str
    """A port, a range `8000-8010` (the first free one is taken) or empty (ephemeral)."""


class RestartPolicy(TypedDict, total=False):
    Name: Literal["", "no", "always", "unless-stopped", "on-failure"]
    MaximumRetryCount: int


class Mount(TypedDict, total=False):
    Type: Literal["bind", "volume", "tmpfs", "image"]
    Source: str
    """A host path (bind) or a volume's name; empty for tmpfs and for an anonymous volume."""
    Target: str
    ReadOnly: bool
    BindOptions: dict[str, Any]
    """`Propagation`, `CreateMountpoint`, `NonRecursive`, `ReadOnlyNonRecursive`, `ReadOnlyForceRecursive`, `SELinux`."""
    VolumeOptions: dict[str, Any]
    """`NoCopy`, `Labels`, `Subpath`, `DriverConfig`."""
    TmpfsOptions: dict[str, Any]
    """`SizeBytes`, `Mode`."""
    ImageOptions: dict[str, Any]
    """`Subpath`."""


class Ulimit(TypedDict):
    Name: str
    Soft: int
    Hard: int


class DeviceMapping(TypedDict):
    PathOnHost: str
    PathInContainer: str
    CgroupPermissions: str


class LogConfig(TypedDict, total=False):
    Type: str
    Config: dict[str, str]


class HostConfig(TypedDict, total=False):
    Binds: list[str]
    Mounts: list[Mount]
    Tmpfs: dict[str, str]
    VolumesFrom: list[str]
    NetworkMode: str
    """A network's name, `none`, `host` or `container:ID`."""
    PortBindings: dict[str, list[PortBinding]]
    """Keyed `80/tcp`."""
    PublishAllPorts: bool
    RestartPolicy: RestartPolicy
    AutoRemove: bool
    LogConfig: LogConfig
    CapAdd: list[str]
    CapDrop: list[str]
    CgroupnsMode: str
    Cgroup: str
    CgroupParent: str
    Dns: list[str]
    DnsOptions: list[str]
    DnsSearch: list[str]
    ExtraHosts: list[str]
    """`name:address`; the address may be `host-gateway`."""
    GroupAdd: list[str]
    IpcMode: str
    PidMode: str
    UTSMode: str
    UsernsMode: str
    OomScoreAdj: int
    OomKillDisable: bool
    Privileged: bool
    ReadonlyRootfs: bool
    SecurityOpt: list[str]
    ShmSize: int
    Sysctls: dict[str, str]
    Runtime: str
    StorageOpt: dict[str, str]
    Init: bool
    MaskedPaths: list[str] | None
    ReadonlyPaths: list[str] | None
    Devices: list[DeviceMapping]
    DeviceCgroupRules: list[str]
    DeviceRequests: list[dict[str, Any]]
    Ulimits: list[Ulimit]
    Memory: int
    MemoryReservation: int
    MemorySwap: int
    MemorySwappiness: int
    NanoCpus: int
    CpuShares: int
    CpuPeriod: int
    CpuQuota: int
    CpuRealtimePeriod: int
    CpuRealtimeRuntime: int
    CpusetCpus: str
    CpusetMems: str
    PidsLimit: int
    BlkioWeight: int
    BlkioWeightDevice: list[dict[str, Any]]
    BlkioDeviceReadBps: list[dict[str, Any]]
    BlkioDeviceWriteBps: list[dict[str, Any]]
    BlkioDeviceReadIOps: list[dict[str, Any]]
    BlkioDeviceWriteIOps: list[dict[str, Any]]
    Annotations: dict[str, str]


class EndpointSettings(TypedDict, total=False):
    IPAMConfig: dict[str, Any]
    """`IPv4Address`, `IPv6Address`, `LinkLocalIPs`."""
    Aliases: list[str]
    Links: list[str]
    MacAddress: str
    DriverOpts: dict[str, str]
    GwPriority: int
    # filled in by the engine
    NetworkID: str
    EndpointID: str
    Gateway: str
    IPAddress: str
    IPPrefixLen: int
    IPv6Gateway: str
    GlobalIPv6Address: str
    GlobalIPv6PrefixLen: int
    DNSNames: list[str]


class Dependency(TypedDict):
    """What must hold before the engine may start this container by itself (after a reboot)."""

    Labels: dict[str, str]
    """All containers with these labels."""
    Condition: Literal["service_started", "service_healthy", "service_completed_successfully"]
    Required: bool
    Restart: bool


class InlineFile(TypedDict):
    """A file written into the container before it starts: a secret or config without a file on the host."""

    Target: str
    """Absolute path in the container."""
    Content: str
    """Base64."""
    Mode: int
    UID: int
    GID: int


class CreateContainer(TypedDict, total=False):
    """Arguments of the operation CreateContainer: Docker's create body and what a standing engine must know besides."""

    Name: str
    Config: ContainerConfig
    HostConfig: HostConfig
    EndpointsConfig: dict[str, EndpointSettings]
    """Keyed by network name; the order is that of the interfaces eth0, eth1, ..."""
    Dependencies: list[Dependency]
    PortGroup: str
    """Containers of one group share a host port over their healthy members; another group is a conflict."""
    InheritVolumesFrom: str
    """A container whose anonymous volumes this one takes over (recreation)."""
    Files: list[InlineFile]


ContainerStatus = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]
HealthStatus = Literal["none", "starting", "healthy", "unhealthy"]


class HealthResult(TypedDict):
    Start: str
    End: str
    ExitCode: int
    Output: str


class Health(TypedDict):
    Status: HealthStatus
    FailingStreak: int
    Log: list[HealthResult]


class ContainerState(TypedDict, total=False):
    Status: ContainerStatus
    Running: bool
    Paused: bool
    Restarting: bool
    OOMKilled: bool
    Dead: bool
    Pid: int
    ExitCode: int
    Error: str
    StartedAt: str
    FinishedAt: str
    Health: Health


class MountPoint(TypedDict, total=False):
    Type: str
    Name: str
    Source: str
    Destination: str
    Driver: str
    Mode: str
    RW: bool
    Propagation: str
    Subpath: str
    """Of a volume, when not all of it is mounted."""


class NetworkSettings(TypedDict, total=False):
    SandboxID: str
    Ports: dict[str, list[PortBinding] | None]
    Networks: dict[str, EndpointSettings]


class ContainerInspect(TypedDict, total=False):
    """A container as `GET /containers/{id}` and the snapshot tell it (Docker's inspect form)."""

    Id: str
    Name: str
    """With a leading slash, as Docker's."""
    Created: str
    Path: str
    Args: list[str]
    State: ContainerState
    Image: str
    """The image's id, `sha256:...`."""
    RestartCount: int
    LogPath: str
    Config: ContainerConfig
    HostConfig: HostConfig
    NetworkSettings: NetworkSettings
    Mounts: list[MountPoint]
    Dependencies: list[Dependency]
    PortGroup: str

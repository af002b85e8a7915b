"""A service: everything the specification lets one say about a container, in canonical form."""

from __future__ import annotations

from typing import Any

from compose.model import fields
from compose.model.aimodel import ServiceModelConfig
from compose.model.build import BuildConfig
from compose.model.deploy import DeployConfig
from compose.model.develop import DevelopConfig
from compose.model.healthcheck import HealthCheckConfig
from compose.model.hook import ServiceHook
from compose.model.limits import BlkioConfig, DeviceMapping, DeviceRequest, UlimitsConfig
from compose.model.mounts import ServiceConfigObjConfig, ServiceSecretConfig, ServiceVolumeConfig
from compose.model.network import PortConfig, ServiceNetworkConfig
from compose.model.record import Record


class ServiceDependency(Record):
    """An edge to another service; `condition` service_started, service_healthy or service_completed_successfully."""

    condition: str = fields.text(default="service_started")
    restart: bool = fields.flag()
    extensions: dict[str, Any] = fields.extensions()
    required: bool = fields.flag(keep=True, default=True)


class EnvFile(Record):
    """A file of variables; `format` is "" (dotenv) or raw."""

    path: str = fields.text()
    required: bool = fields.opt_out()
    format: str = fields.text()


class ExtendsConfig(Record):
    """The base of a service; only seen when extends are not resolved."""

    file: str = fields.text()
    service: str = fields.text()


class LoggingConfig(Record):
    """Log driver and its options."""

    driver: str = fields.text()
    options: dict[str, str] = fields.mapping()
    extensions: dict[str, Any] = fields.extensions()


class CredentialSpecConfig(Record):
    """A Windows credential specification."""

    config: str = fields.text()
    file: str = fields.text()
    registry: str = fields.text()
    extensions: dict[str, Any] = fields.extensions()


class ServiceProviderConfig(Record):
    """A service provided by an external program instead of a container."""

    type: str = fields.text()
    options: dict[str, tuple[str, ...]] = fields.multi_options()
    extensions: dict[str, Any] = fields.extensions()


class ServiceConfig(Record):
    """One service. Sizes in bytes, durations in nanoseconds; "" / 0 / empty means absent, None means not said."""

    name: str = fields.hidden("")
    profiles: tuple[str, ...] = fields.strings()
    annotations: dict[str, str] = fields.mapping()
    attach: bool | None = fields.tristate()
    build: BuildConfig | None = fields.nested(BuildConfig)
    develop: DevelopConfig | None = fields.nested(DevelopConfig)
    blkio_config: BlkioConfig | None = fields.nested(BlkioConfig)
    cap_add: tuple[str, ...] = fields.strings()
    cap_drop: tuple[str, ...] = fields.strings()
    cgroup_parent: str = fields.text()
    cgroup: str = fields.text()
    cpu_count: int = fields.integer()
    cpu_percent: float = fields.real()
    cpu_period: int = fields.integer()
    cpu_quota: int = fields.integer()
    cpu_rt_period: int = fields.integer()
    cpu_rt_runtime: int = fields.integer()
    cpus: float = fields.real()
    cpuset: str = fields.text()
    cpu_shares: int = fields.integer()
    command: tuple[str, ...] | None = fields.command()
    configs: tuple[ServiceConfigObjConfig, ...] = fields.nested_list(ServiceConfigObjConfig)
    container_name: str = fields.text()
    credential_spec: CredentialSpecConfig | None = fields.nested(CredentialSpecConfig)
    depends_on: dict[str, ServiceDependency] = fields.nested_map(ServiceDependency)
    deploy: DeployConfig | None = fields.nested(DeployConfig)
    device_cgroup_rules: tuple[str, ...] = fields.strings()
    devices: tuple[DeviceMapping, ...] = fields.nested_list(DeviceMapping)
    dns: tuple[str, ...] = fields.strings()
    dns_opt: tuple[str, ...] = fields.strings()
    dns_search: tuple[str, ...] = fields.strings()
    dockerfile: str = fields.text()
    domainname: str = fields.text()
    entrypoint: tuple[str, ...] | None = fields.command()
    provider: ServiceProviderConfig | None = fields.nested(ServiceProviderConfig)
    environment: dict[str, str | None] = fields.environment()
    env_file: tuple[EnvFile, ...] = fields.nested_list(EnvFile)
    expose: tuple[str, ...] = fields.strings()
    extends: ExtendsConfig | None = fields.nested(ExtendsConfig)
    external_links: tuple[str, ...] = fields.strings()
    extra_hosts: dict[str, tuple[str, ...]] = fields.hosts()
    group_add: tuple[str, ...] = fields.strings()
    gpus: tuple[DeviceRequest, ...] = fields.nested_list(DeviceRequest)
    hostname: str = fields.text()
    healthcheck: HealthCheckConfig | None = fields.nested(HealthCheckConfig)
    image: str = fields.text()
    init: bool | None = fields.tristate()
    ipc: str = fields.text()
    isolation: str = fields.text()
    labels: dict[str, str] = fields.mapping()
    label_file: tuple[str, ...] = fields.strings()
    links: tuple[str, ...] = fields.strings()
    logging: LoggingConfig | None = fields.nested(LoggingConfig)
    log_driver: str = fields.text()
    log_opt: dict[str, str] = fields.mapping()
    mem_limit: int = fields.size()
    mem_reservation: int = fields.size()
    memswap_limit: int = fields.size()
    mem_swappiness: int = fields.size()
    mac_address: str = fields.text()
    models: dict[str, ServiceModelConfig | None] = fields.nested_map(ServiceModelConfig)
    net: str = fields.text()
    network_mode: str = fields.text()
    networks: dict[str, ServiceNetworkConfig | None] = fields.nested_map(ServiceNetworkConfig)
    oom_kill_disable: bool = fields.flag()
    oom_score_adj: int = fields.integer()
    pid: str = fields.text()
    pids_limit: int = fields.integer()
    platform: str = fields.text()
    ports: tuple[PortConfig, ...] = fields.nested_list(PortConfig)
    privileged: bool = fields.flag()
    pull_policy: str = fields.text()
    read_only: bool = fields.flag()
    restart: str = fields.text()
    runtime: str = fields.text()
    scale: int | None = fields.optional_integer()
    secrets: tuple[ServiceSecretConfig, ...] = fields.nested_list(ServiceSecretConfig)
    security_opt: tuple[str, ...] = fields.strings()
    shm_size: int = fields.size()
    stdin_open: bool = fields.flag()
    stop_grace_period: int | None = fields.optional_duration()
    stop_signal: str = fields.text()
    storage_opt: dict[str, str] = fields.text_mapping()
    sysctls: dict[str, str] = fields.mapping()
    tmpfs: tuple[str, ...] = fields.strings()
    tty: bool = fields.flag()
    ulimits: dict[str, UlimitsConfig] = fields.nested_map(UlimitsConfig)
    use_api_socket: bool = fields.flag()
    user: str = fields.text()
    userns_mode: str = fields.text()
    uts: str = fields.text()
    volume_driver: str = fields.text()
    volumes: tuple[ServiceVolumeConfig, ...] = fields.nested_list(ServiceVolumeConfig)
    volumes_from: tuple[str, ...] = fields.strings()
    working_dir: str = fields.text()
    pre_start: tuple[ServiceHook, ...] = fields.nested_list(ServiceHook)
    post_start: tuple[ServiceHook, ...] = fields.nested_list(ServiceHook)
    pre_stop: tuple[ServiceHook, ...] = fields.nested_list(ServiceHook)
    extensions: dict[str, Any] = fields.extensions()

    @property
    def replicas(self) -> int:
        """How many containers are wanted: `scale`, else `deploy.replicas`, else 1."""
        if self.scale is not None:
            return self.scale
        if self.deploy is not None and self.deploy.replicas is not None:
            return self.deploy.replicas
        return 1

    @property
    def networks_by_priority(self) -> tuple[str, ...]:
        """Network keys in the order of the container's interfaces: falling priority, then name."""

        def rank(name: str) -> tuple[int, str]:
            attached = self.networks[name]
            return (-(attached.priority if attached else 0), name)

        return tuple(sorted(self.networks, key=rank))

    def with_scale(self, replicas: int) -> ServiceConfig:
        """A copy that wants `replicas` containers."""
        deploy = self.deploy.replace(replicas=replicas) if self.deploy is not None else None
        return self.replace(scale=replicas, deploy=deploy)

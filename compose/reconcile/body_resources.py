"""Translate limits and devices of a service into Docker's Resources; `deploy.resources` beats the older attributes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compose.model.deploy import Resources
    from compose.model.limits import BlkioConfig, DeviceRequest
    from compose.model.service import ServiceConfig
    from runtime.wire.containers import Ulimit

NANO = 1_000_000_000

NUMBERS = (
    ("Memory", "mem_limit"),
    ("MemoryReservation", "mem_reservation"),
    ("MemorySwap", "memswap_limit"),
    ("MemorySwappiness", "mem_swappiness"),
    ("OomKillDisable", "oom_kill_disable"),
    ("OomScoreAdj", "oom_score_adj"),
    ("CgroupParent", "cgroup_parent"),
    ("CpuShares", "cpu_shares"),
    ("CpuPeriod", "cpu_period"),
    ("CpuQuota", "cpu_quota"),
    ("CpuRealtimePeriod", "cpu_rt_period"),
    ("CpuRealtimeRuntime", "cpu_rt_runtime"),
    ("CpusetCpus", "cpuset"),
    ("PidsLimit", "pids_limit"),
)
THROTTLES = (
    ("BlkioDeviceReadBps", "device_read_bps"),
    ("BlkioDeviceReadIOps", "device_read_iops"),
    ("BlkioDeviceWriteBps", "device_write_bps"),
    ("BlkioDeviceWriteIOps", "device_write_iops"),
)
CDI_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w-]*=[\w.:-]+")
"""`vendor.com/class=device`: not a path but a name for the Container Device Interface."""


def resources(service: ServiceConfig) -> dict[str, Any]:
    """The part of HostConfig that limits; what is not said is left out."""
    found: dict[str, Any] = {key: value for key, attribute in NUMBERS if (value := getattr(service, attribute))}
    if service.cpus:
        found["NanoCpus"] = nano_cpus(service.cpus)
    if service.device_cgroup_rules:
        found["DeviceCgroupRules"] = list(service.device_cgroup_rules)
    if service.ulimits:
        found["Ulimits"] = ulimits(service)
    if service.blkio_config is not None:
        found.update(_blkio(service.blkio_config))
    requests = [_gpu_request(gpu) for gpu in service.gpus]
    if service.deploy is not None:
        found.update(_deploy(service.deploy.resources))
        reserved = service.deploy.resources.reservations
        requests[:0] = [
            _device_request(device, device.capabilities) for device in (reserved.devices if reserved else ())
        ]
    cdi = [device.source for device in service.devices if _is_cdi(device.source, device.target)]
    if cdi:
        requests.insert(0, {"Driver": "cdi", "DeviceIDs": cdi})
    if requests:
        found["DeviceRequests"] = requests
    devices = [
        {
            "PathOnHost": device.source,
            "PathInContainer": device.target or device.source,
            "CgroupPermissions": device.permissions or "rwm",
        }
        for device in service.devices
        if not _is_cdi(device.source, device.target)
    ]
    if devices:
        found["Devices"] = devices
    return found


def nano_cpus(cpus: float) -> int:
    """CPUs in billionths; the model's single precision is rounded away."""
    return round(cpus * 1_000_000) * (NANO // 1_000_000)


def ulimits(service: ServiceConfig) -> list[Ulimit]:
    """By name; `single` stands for both bounds."""
    return [
        {"Name": name, "Soft": limit.soft or limit.single, "Hard": limit.hard or limit.single}
        for name, limit in sorted(service.ulimits.items())
    ]


def _deploy(said: Resources) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if said.limits is not None:
        if said.limits.memory:
            found["Memory"] = said.limits.memory
        if said.limits.cpus:
            found["NanoCpus"] = nano_cpus(said.limits.cpus)
        if said.limits.pids > 0:
            found["PidsLimit"] = said.limits.pids
    if said.reservations is not None and said.reservations.memory:
        found["MemoryReservation"] = said.reservations.memory
    return found


def _blkio(config: BlkioConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if config.weight:
        found["BlkioWeight"] = config.weight
    if config.weight_device:
        found["BlkioWeightDevice"] = [{"Path": one.path, "Weight": one.weight} for one in config.weight_device]
    for key, attribute in THROTTLES:
        if throttled := getattr(config, attribute):
            found[key] = [{"Path": one.path, "Rate": one.rate} for one in throttled]
    return found


def _is_cdi(source: str, target: str) -> bool:
    return target in ("", source) and CDI_NAME.fullmatch(source) is not None


def _gpu_request(gpu: DeviceRequest) -> dict[str, Any]:
    return _device_request(gpu, (*gpu.capabilities, "gpu"))


def _device_request(device: DeviceRequest, capabilities: tuple[str, ...]) -> dict[str, Any]:
    found = {
        "Driver": device.driver,
        "Count": device.count,
        "DeviceIDs": list(device.device_ids),
        "Capabilities": [list(capabilities)],
        "Options": dict(device.options),
    }
    return {key: value for key, value in found.items() if value}

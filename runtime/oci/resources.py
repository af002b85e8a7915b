"""Docker's resource limits, checked, as the OCI spec's `linux.resources` (without devices).

Everything is refused here that the kernel would refuse later with a bare "invalid argument".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidParameter
from runtime.oci.defaults import MIN_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from collections.abc import Set as AbstractSet

    from runtime.wire.containers import HostConfig

_PERIOD: Final = 100_000
"""Microseconds; the period that NanoCpus is turned into a quota of."""
_NANO: Final = 1_000_000_000
_MIN_SHARES: Final = 2
_MAX_SHARES: Final = 262_144
_MAX_CPU: Final = 8192
"""More processors than any kernel is built for: a bound on ranges, which would else be counted out (CVE-2018-20699)."""

_THROTTLES: Final = (
    ("BlkioDeviceReadBps", "throttleReadBpsDevice"),
    ("BlkioDeviceWriteBps", "throttleWriteBpsDevice"),
    ("BlkioDeviceReadIOps", "throttleReadIOPSDevice"),
    ("BlkioDeviceWriteIOps", "throttleWriteIOPSDevice"),
)


def resources(
    host: HostConfig,
    *,
    cpus: int,
    cpuset: AbstractSet[int] | None = None,
    mems: AbstractSet[int] | None = None,
    block_devices: Mapping[str, tuple[int, int]] | None = None,
) -> dict[str, Any]:
    """The limits of a container; sections without one are absent.

    `cpus` is how many processors there are, `cpuset`/`mems` which (None: not checked), `block_devices` the numbers of
    the devices that block limits name. Raises InvalidParameter.
    """
    sections = {
        "memory": _memory(host),
        "cpu": _cpu(host, cpus, cpuset, mems),
        "pids": _pids(host),
        "blockIO": _block_io(host, block_devices or {}),
    }
    return {name: section for name, section in sections.items() if section}


def parse_set(text: str, what: str) -> set[int]:
    """The numbers of a kernel list such as `0-2,4`; InvalidParameter names `what`."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        bounds = (first, last if dash else first)
        if not all(bound.isascii() and bound.isdigit() and len(bound) <= 5 for bound in bounds):
            raise InvalidParameter(f"invalid value {text} for {what}")
        low, high = int(bounds[0]), int(bounds[1])
        if low > high or high >= _MAX_CPU:
            raise InvalidParameter(f"invalid value {text} for {what}")
        numbers.update(range(low, high + 1))
    return numbers


def _memory(host: HostConfig) -> dict[str, Any]:
    limit, swap = host.get("Memory") or 0, host.get("MemorySwap") or 0
    reservation, swappiness = host.get("MemoryReservation") or 0, host.get("MemorySwappiness")
    if limit < 0 or 0 < limit < MIN_MEMORY:
        raise InvalidParameter("minimum memory limit allowed is 6MB")
    if reservation < 0 or 0 < reservation < MIN_MEMORY:
        raise InvalidParameter("minimum memory reservation allowed is 6MB")
    if limit and reservation > limit:
        raise InvalidParameter("minimum memory limit can not be less than memory reservation limit")
    if limit and 0 < swap < limit:
        raise InvalidParameter("minimum memoryswap limit should be larger than memory limit")
    if not limit and swap > 0:
        raise InvalidParameter("you should always set the memory limit when using memoryswap limit")
    if swappiness is not None and swappiness != -1 and not 0 <= swappiness <= 100:
        raise InvalidParameter(f"invalid value: {swappiness}, valid memory swappiness range is 0-100")
    out: dict[str, Any] = {}
    if limit:
        out["limit"] = limit
        out["swap"] = swap or 2 * limit
    elif swap < 0:
        out["swap"] = -1
    if reservation:
        out["reservation"] = reservation
    if swappiness is not None and swappiness != -1:
        out["swappiness"] = swappiness
    if host.get("OomKillDisable"):
        out["disableOOMKiller"] = True
    return out


def _cpu(host: HostConfig, cpus: int, cpuset: AbstractSet[int] | None, mems: AbstractSet[int] | None) -> dict[str, Any]:
    nano, period, quota = host.get("NanoCpus") or 0, host.get("CpuPeriod") or 0, host.get("CpuQuota") or 0
    shares = host.get("CpuShares") or 0
    if nano and period:
        raise InvalidParameter("conflicting options: nano CPUs and CPU period cannot both be set")
    if nano and quota:
        raise InvalidParameter("conflicting options: nano CPUs and CPU quota cannot both be set")
    if nano < 0 or nano > cpus * _NANO:
        raise InvalidParameter(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available", available=cpus
        )
    if period and not 1_000 <= period <= 1_000_000:
        raise InvalidParameter("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1_000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if shares < 0:
        raise InvalidParameter("shares: invalid argument")
    out: dict[str, Any] = {}
    if shares:
        out["shares"] = min(max(shares, _MIN_SHARES), _MAX_SHARES)
    if nano:
        # The kernel takes no quota below 1 ms: a smaller share needs a longer period.
        out["period"], out["quota"] = _PERIOD, nano * _PERIOD // _NANO
        if out["quota"] < 1_000:
            out["period"], out["quota"] = 10 * _PERIOD, max(1_000, nano * 10 * _PERIOD // _NANO)
    if period:
        out["period"] = period
    if quota:
        out["quota"] = quota
    for key, name in (("CpuRealtimePeriod", "realtimePeriod"), ("CpuRealtimeRuntime", "realtimeRuntime")):
        if host.get(key):
            out[name] = host[key]  # type: ignore[literal-required]
    _cpuset(out, "cpus", host.get("CpusetCpus") or "", cpuset)
    _cpuset(out, "mems", host.get("CpusetMems") or "", mems)
    return out


def _cpuset(out: dict[str, Any], key: str, text: str, available: AbstractSet[int] | None) -> None:
    if not text:
        return
    wanted = parse_set(text, f"cpuset {key}")
    if available is not None and not wanted <= available:
        noun = {"cpus": "CPUs", "mems": "memory nodes"}[key]
        shown = ",".join(str(number) for number in sorted(available))
        raise InvalidParameter(f"requested {noun} are not available - requested {text}, available: {shown}")
    out[key] = text


def _pids(host: HostConfig) -> dict[str, Any]:
    limit = host.get("PidsLimit")
    if limit is None or limit == 0:
        return {}
    return {"limit": limit if limit > 0 else -1}


def _block_io(host: HostConfig, devices: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    weight = host.get("BlkioWeight") or 0
    if weight and not 10 <= weight <= 1000:
        raise InvalidParameter("range of blkio weight is from 10 to 1000")
    out: dict[str, Any] = {}
    if weight:
        out["weight"] = weight
    weights = [
        {**_numbers(entry, devices), "weight": _ranged(entry, "Weight", lambda value: 10 <= value <= 1000)}
        for entry in host.get("BlkioWeightDevice") or ()
    ]
    if weights:
        out["weightDevice"] = weights
    for key, name in _THROTTLES:
        limits: list[dict[str, Any]] = host.get(key) or []  # type: ignore[assignment]
        if limits:
            out[name] = [
                {**_numbers(entry, devices), "rate": _ranged(entry, "Rate", lambda value: value > 0)}
                for entry in limits
            ]
    return out


def _numbers(entry: dict[str, Any], devices: Mapping[str, tuple[int, int]]) -> dict[str, int]:
    path = str(entry.get("Path"))
    if path not in devices:
        raise InvalidParameter(f"block device {path}: no such device", path=path)
    major, minor = devices[path]
    return {"major": major, "minor": minor}


def _ranged(entry: dict[str, Any], key: str, valid: Callable[[int], bool]) -> int:
    value = entry.get(key)
    if not isinstance(value, int) or not valid(value):
        raise InvalidParameter(f"block device {entry.get('Path')}: invalid {key.lower()} {value!r}")
    return value

"""Resource limits in Docker's terms become the spec's, or are refused in Docker's words."""

from __future__ import annotations

from typing import Any

import pytest

from runtime.errors import InvalidParameter
from runtime.oci.resources import parse_set, resources

MB = 1 << 20


def make(host: dict[str, Any], **facts: Any) -> dict[str, Any]:
    return resources(host, **{"cpus": 2, **facts})


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ({}, {}),
        ({"Memory": 0, "NanoCpus": 0, "PidsLimit": 0, "BlkioWeight": 0}, {}),
        ({"Memory": 50 * MB}, {"memory": {"limit": 50 * MB, "swap": 100 * MB}}),
        ({"Memory": 50 * MB, "MemorySwap": 60 * MB}, {"memory": {"limit": 50 * MB, "swap": 60 * MB}}),
        ({"Memory": 50 * MB, "MemorySwap": -1}, {"memory": {"limit": 50 * MB, "swap": -1}}),
        ({"MemorySwap": -1}, {"memory": {"swap": -1}}),
        ({"MemoryReservation": 20 * MB}, {"memory": {"reservation": 20 * MB}}),
        ({"MemorySwappiness": 0}, {"memory": {"swappiness": 0}}),
        ({"MemorySwappiness": -1}, {}),
        ({"OomKillDisable": True}, {"memory": {"disableOOMKiller": True}}),
        ({"NanoCpus": 500_000_000}, {"cpu": {"period": 100_000, "quota": 50_000}}),
        ({"NanoCpus": 2_000_000_000}, {"cpu": {"period": 100_000, "quota": 200_000}}),
        ({"NanoCpus": 10_000_000}, {"cpu": {"period": 100_000, "quota": 1_000}}),
        ({"NanoCpus": 5_000_000}, {"cpu": {"period": 1_000_000, "quota": 5_000}}),
        ({"NanoCpus": 1}, {"cpu": {"period": 1_000_000, "quota": 1_000}}),
        ({"CpuPeriod": 50_000, "CpuQuota": 25_000}, {"cpu": {"period": 50_000, "quota": 25_000}}),
        ({"CpuQuota": -1}, {"cpu": {"quota": -1}}),
        ({"CpuShares": 512}, {"cpu": {"shares": 512}}),
        ({"CpuShares": 1}, {"cpu": {"shares": 2}}),
        ({"CpuShares": 10**6}, {"cpu": {"shares": 262_144}}),
        ({"CpusetCpus": "0-1", "CpusetMems": "0"}, {"cpu": {"cpus": "0-1", "mems": "0"}}),
        ({"CpuRealtimeRuntime": 950_000}, {"cpu": {"realtimeRuntime": 950_000}}),
        ({"PidsLimit": 100}, {"pids": {"limit": 100}}),
        ({"PidsLimit": -1}, {"pids": {"limit": -1}}),
        ({"BlkioWeight": 300}, {"blockIO": {"weight": 300}}),
        (
            {"BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 200}]},
            {"blockIO": {"weightDevice": [{"major": 8, "minor": 0, "weight": 200}]}},
        ),
        (
            {"BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": 1000}]},
            {"blockIO": {"throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}]}},
        ),
        (
            {"BlkioDeviceWriteIOps": [{"Path": "/dev/a", "Rate": 7}]},
            {"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 7}]}},
        ),
    ],
)
def test_limits_of_docker_become_those_of_the_spec(host: dict[str, Any], expected: dict[str, Any]) -> None:
    facts = {"cpuset": {0, 1}, "mems": {0}, "block_devices": {"/dev/a": (8, 0)}}
    assert make(host, **facts) == expected


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ({"Memory": 1}, "minimum memory limit allowed is 6MB"),
        ({"Memory": -5}, "minimum memory limit allowed is 6MB"),
        ({"MemoryReservation": 5}, "minimum memory reservation allowed is 6MB"),
        (
            {"Memory": 10 * MB, "MemoryReservation": 20 * MB},
            "minimum memory limit can not be less than memory reservation limit",
        ),
        (
            {"Memory": 20 * MB, "MemorySwap": 10 * MB},
            "minimum memoryswap limit should be larger than memory limit",
        ),
        ({"MemorySwap": 10 * MB}, "you should always set the memory limit when using memoryswap limit"),
        ({"MemorySwappiness": 101}, "invalid value: 101, valid memory swappiness range is 0-100"),
        (
            {"NanoCpus": 2_000_000_001},
            "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        ),
        ({"NanoCpus": -1}, "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available"),
        (
            {"NanoCpus": 1, "CpuPeriod": 1000},
            "conflicting options: nano CPUs and CPU period cannot both be set",
        ),
        ({"NanoCpus": 1, "CpuQuota": 1000}, "conflicting options: nano CPUs and CPU quota cannot both be set"),
        (
            {"CpuPeriod": 999},
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        ({"CpuQuota": 999}, "CPU cfs quota can not be less than 1ms (i.e. 1000)"),
        ({"CpuShares": -1}, "shares: invalid argument"),
        ({"CpusetCpus": "0-7"}, "requested CPUs are not available - requested 0-7, available: 0,1"),
        ({"CpusetMems": "3"}, "requested memory nodes are not available - requested 3, available: 0"),
        ({"CpusetCpus": "x"}, "invalid value x for cpuset cpus"),
        ({"CpusetCpus": "1-0"}, "invalid value 1-0 for cpuset cpus"),
        ({"CpusetCpus": "1-2147483647"}, "invalid value 1-2147483647 for cpuset cpus"),
        ({"BlkioWeight": 5}, "range of blkio weight is from 10 to 1000"),
        ({"BlkioWeightDevice": [{"Path": "/dev/x", "Weight": 10}]}, "block device /dev/x: no such device"),
        ({"BlkioWeightDevice": [{"Path": "/dev/a", "Weight": 5}]}, "block device /dev/a: invalid weight 5"),
        ({"BlkioDeviceReadBps": [{"Path": "/dev/a", "Rate": "x"}]}, "block device /dev/a: invalid rate 'x'"),
    ],
)
def test_impossible_limit_is_refused(host: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        make(host, cpuset={0, 1}, mems={0}, block_devices={"/dev/a": (8, 0)})
    assert caught.value.message == message


@pytest.mark.parametrize(("text", "numbers"), [("0", {0}), ("0-2", {0, 1, 2}), ("0, 2-3", {0, 2, 3}), ("8191", {8191})])
def test_kernel_list(text: str, numbers: set[int]) -> None:
    assert parse_set(text, "x") == numbers


@pytest.mark.parametrize("text", ["", "-", "1-", "-1", "1,,2", "8192", "0-8192", "99999999999", "1-2-3", "\u0661"])
def test_broken_kernel_list(text: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_set(text, "x")

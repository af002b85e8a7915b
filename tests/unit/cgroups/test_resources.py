"""OCI resources become (file, value) writes, as tables, for both cgroup versions."""

from __future__ import annotations

import pytest

from runtime.cgroups import resources_v1, resources_v2
from runtime.errors import InvalidParameter

MEGABYTE = 1 << 20

V1 = [
    ({}, []),
    ({"memory": {"limit": 64 * MEGABYTE}}, [("memory.limit_in_bytes", "67108864")]),
    (
        {"memory": {"swap": 2 * MEGABYTE, "limit": MEGABYTE, "reservation": 5}},
        [
            ("memory.limit_in_bytes", "1048576"),
            ("memory.memsw.limit_in_bytes", "2097152"),
            ("memory.soft_limit_in_bytes", "5"),
        ],
    ),
    ({"memory": {"limit": -1, "swap": -1}}, [("memory.limit_in_bytes", "-1"), ("memory.memsw.limit_in_bytes", "-1")]),
    ({"memory": {"swappiness": 0}}, [("memory.swappiness", "0")]),
    ({"memory": {"disableOOMKiller": True}}, [("memory.oom_control", "1")]),
    ({"cpu": {"shares": 512}}, [("cpu.shares", "512")]),
    (
        {"cpu": {"quota": 50000, "period": 100000}},
        [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")],
    ),
    ({"cpu": {"cpus": "0-1", "mems": "0"}}, [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")]),
    ({"pids": {"limit": 100}}, [("pids.max", "100")]),
    ({"pids": {"limit": -1}}, [("pids.max", "max")]),
    ({"pids": {"limit": 0}}, []),
    (
        {"blockIO": {"weight": 300, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}]}},
        [("blkio.bfq.weight", "300"), ("blkio.throttle.read_bps_device", "8:0 1000")],
    ),
    ({"memory": None, "cpu": None}, []),
]

V2 = [
    ({}, []),
    (
        {"memory": {"limit": 64, "swap": 128, "reservation": 32}},
        [("memory.max", "64"), ("memory.swap.max", "64"), ("memory.low", "32")],
    ),
    ({"memory": {"limit": -1, "swap": -1}}, [("memory.max", "max"), ("memory.swap.max", "max")]),
    ({"memory": {"limit": 64, "swap": 64}}, [("memory.max", "64"), ("memory.swap.max", "0")]),
    ({"cpu": {"shares": 1024}}, [("cpu.weight", "39")]),
    ({"cpu": {"quota": 50000, "period": 100000}}, [("cpu.max", "50000 100000")]),
    ({"cpu": {"quota": 50000}}, [("cpu.max", "50000 100000")]),
    ({"cpu": {"period": 20000}}, [("cpu.max", "max 20000")]),
    ({"cpu": {"cpus": "0", "idle": 0}}, [("cpu.idle", "0"), ("cpuset.cpus", "0")]),
    ({"pids": {"limit": -1}}, [("pids.max", "max")]),
    (
        {"blockIO": {"weight": 1000, "throttleWriteIOPSDevice": [{"major": 8, "minor": 1, "rate": 7}]}},
        [("io.weight", "default 10000"), ("io.max", "8:1 wiops=7")],
    ),
    ({"unified": {"memory.high": "9"}}, [("memory.high", "9")]),
]


@pytest.mark.parametrize(("resources", "writes"), V1)
def test_v1_writes(resources, writes):
    assert resources_v1.writes(resources) == writes


@pytest.mark.parametrize(("resources", "writes"), V2)
def test_v2_writes(resources, writes):
    assert resources_v2.writes(resources) == writes


@pytest.mark.parametrize("memory", [{"swap": 10}, {"limit": 20, "swap": 10}])
def test_v2_refuses_a_swap_limit_it_cannot_express(memory):
    with pytest.raises(InvalidParameter):
        resources_v2.writes({"memory": memory})


@pytest.mark.parametrize(
    ("rule", "write"),
    [
        ({"allow": False, "access": "rwm"}, ("devices.deny", "a")),
        ({"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rwm"}, ("devices.allow", "c 1:3 rwm")),
        ({"allow": True, "type": "b", "access": "m"}, ("devices.allow", "b *:* m")),
        ({"allow": True, "type": "c", "major": 136, "minor": -1, "access": "rw"}, ("devices.allow", "c 136:* rw")),
    ],
)
def test_v1_device_rules(rule, write):
    assert resources_v1.device_write(rule) == write


def test_weights_keep_the_ends_of_their_scales():
    assert [resources_v2.cpu_weight(shares) for shares in (0, 2, 262144, 1 << 30)] == [1, 1, 10000, 10000]
    assert [resources_v2.io_weight(weight) for weight in (10, 1000)] == [1, 10000]

"""Facts of a machine, read from made-up files."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import FrozenInstanceError, replace

import pytest

from runtime.linux import hostfacts
from runtime.linux.hostfacts import HostFacts
from runtime.linux.trial import attempt
from runtime.oci import spec
from runtime.oci.capabilities import ALL

V1 = "30 25 0:27 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
V1_NAMED = "31 25 0:28 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd\n"
V2 = "32 25 0:29 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


@pytest.mark.parametrize(
    ("mountinfo", "version"),
    [("", 0), (V1, 1), (V2, 2), (V1 + V2, 1), (V1_NAMED + V2, 2), (V1_NAMED, 0), ("broken line\n", 0)],
)
def test_cgroup_version(mountinfo: str, version: int) -> None:
    assert hostfacts.cgroup_version(mountinfo) == version


@pytest.mark.parametrize(
    ("release", "version"),
    [("6.1.0-17-amd64", (6, 1)), ("5.10.0", (5, 10)), ("6.18-rc1", (6, 18)), ("6.12+", (6, 12)), ("6.8.12-x+", (6, 8))],
)
def test_kernel_version(release: str, version: tuple[int, int]) -> None:
    assert hostfacts.kernel_version(release) == version


@pytest.mark.parametrize(
    ("text", "numbers"), [("", set()), ("0\n", {0}), ("0-3\n", {0, 1, 2, 3}), ("0,2-3,8\n", {0, 2, 3, 8})]
)
def test_list_of_the_kernel(text: str, numbers: set[int]) -> None:
    assert hostfacts.parse_list(text) == numbers


@pytest.mark.parametrize(
    ("uid_map", "everything"),
    [
        ("         0          0 4294967295\n", True),
        ("         0       1000          1\n", False),
        ("0 1000 1\n1 100000 65536\n", False),
        ("", True),
    ],
)
def test_user_namespace(uid_map: str, everything: bool) -> None:
    assert hostfacts.maps_everything(uid_map) is everything


def test_facts_come_from_files() -> None:
    files = {
        "/proc/self/status": "Name:\tx\nCapBnd:\t000001fffeffffff\n",
        "/proc/self/uid_map": "0 0 4294967295\n",
        "/proc/self/mountinfo": V2,
        "/sys/devices/system/cpu/online": "0-1\n",
        "/proc/sys/net/bridge/bridge-nf-call-iptables": "1\n",
        "/proc/sys/net/ipv4/ip_forward": "0\n",
        "/run/docker.pid": "77",
        "/proc/77/comm": "dockerd\n",
    }
    facts = hostfacts.detect(read=lambda path: files.get(path, ""))
    assert (facts.cgroup_version, facts.bridge_nf, facts.ip_forward, facts.docker) == (2, True, False, True)
    assert (facts.cpus, facts.memory_nodes, facts.overlay_ok) == ({0, 1}, {0}, False)
    assert not facts.capabilities >> 24 & 1


@pytest.mark.parametrize(
    ("pid", "comm", "runs"), [("", "", False), ("77", "", False), ("77", "bash\n", False), ("77", "dockerd\n", True)]
)
def test_pid_file_that_outlived_its_daemon_is_no_docker(pid: str, comm: str, runs: bool) -> None:
    files = {"/run/docker.pid": pid, "/proc/77/comm": comm}
    assert hostfacts.docker_runs(lambda path: files.get(path, "")) is runs


def test_rootless_is_without_the_machine_s_root() -> None:
    assert not HostFacts().rootless
    assert HostFacts(uid=1000).rootless
    assert HostFacts(initial_user_namespace=False).rootless


def test_facts_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        HostFacts().uid = 1  # type: ignore[misc]


def test_spec_takes_its_facts_from_the_machine() -> None:
    host = replace(HostFacts(), cpus=frozenset({0, 1}), masked_paths=("/x",), cgroup_version=1)
    facts = spec.facts_of(host, hostname="web")
    assert (facts.cpus, facts.cpuset, facts.masked_paths, facts.cgroup_version) == (2, {0, 1}, ("/x",), 1)
    assert (facts.capabilities, facts.hostname, facts.rootless) == (ALL, "web", False)


def test_trial_answers_with_what_went_wrong() -> None:
    def fail() -> None:
        raise OSError("no such luck\nsecond line")

    assert attempt(lambda: None) is None
    assert attempt(fail) == "no such luck"
    assert attempt(lambda: os._exit(3)) == "exit status 3"
    assert attempt(lambda: os.kill(os.getpid(), signal.SIGKILL)) == "ended by SIGKILL"
    assert attempt(lambda: time.sleep(30), time_limit=0.05) == "no answer within 0.05 s"

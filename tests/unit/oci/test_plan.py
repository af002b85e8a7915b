"""The plan of a container: its text, and what is refused before anything is done."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from runtime.errors import EngineError, InvalidParameter, NotSupported
from runtime.linux import constants as c
from runtime.oci import defaults
from runtime.oci.plan import Plan, seccomp_program


def spec(**changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "ociVersion": "1.2.0",
        "root": {"path": "rootfs"},
        "process": {"args": ["true"], "cwd": "/"},
        "mounts": defaults.mounts(),
        "linux": {"namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount")]},
    }
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = made
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
    return made


def plan(made: dict[str, Any], directories: list[tuple[str, str]] | None = None) -> Plan:
    return Plan(made, bundle="/bundle", container="box", directories=directories or [])


def bind(**entry: Any) -> dict[str, Any]:
    return {"destination": "/data", "type": "bind", "source": "/srv", "options": ["rbind"], **entry}


def test_the_plan_of_a_usual_container_reads_in_order() -> None:
    made = spec(
        linux__maskedPaths=["/proc/kcore"],
        linux__readonlyPaths=["/proc/sys"],
        linux__sysctl={"net.ipv4.ip_unprivileged_port_start": "0"},
        root__readonly=True,
        process__cwd="/srv/app",
        process__terminal=True,
    )
    made["mounts"].append(bind(**{"x-copy-up": True}))
    made["x-rootfs"] = {"type": "overlay", "lowerdir": ["/l2", "/l1"], "upperdir": "/u", "workdir": "/w"}
    text = plan(made, [("memory", "/sys/fs/cgroup/memory/box")]).describe()
    assert text.splitlines() == [
        "namespaces mount network uts ipc pid",
        f"propagation {c.MS_SLAVE | c.MS_REC:#x}",
        "overlay /l2:/l1 upper /u on /bundle/rootfs",
        "plain directories proc sys dev",
        "proc on /proc",
        "tmpfs on /dev (mode=755,size=65536k)",
        "devpts on /dev/pts (newinstance,ptmxmode=0666,mode=0620,gid=5)",
        "sysfs on /sys",
        "cgroups memory on /sys/fs/cgroup ro",
        "mqueue on /dev/mqueue",
        "tmpfs on /dev/shm (mode=1777)",
        "copy up /data into /srv",
        "bind /srv on /data",
        "devices /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty",
        "console",
        "sysctl net.ipv4.ip_unprivileged_port_start=0",
        "read-only /proc/sys",
        "masked /proc/kcore",
        "working directory /srv/app",
        "root read-only",
        "execute true",
    ]


def test_a_bound_dev_gets_no_nodes() -> None:
    made = spec(mounts=[bind(destination="/dev", source="/dev")])
    assert "devices" not in plan(made).describe()


@pytest.mark.parametrize(
    ("mount", "message"),
    [
        (bind(destination="/"), "not a path below the root"),
        (bind(destination="/a/../.."), "not a path below the root"),
        (bind(destination="/a\0b"), "not a path"),
        (bind(source="relative"), "not an absolute path"),
        (bind(options=["rbind", "size=1"]), "unknown option 'size=1'"),
        (bind(destination="/proc/sys"), "nothing may be mounted over /proc"),
        (bind(destination="/x/../proc/self"), "nothing may be mounted over /proc"),
        ({"destination": "/proc", "type": "tmpfs"}, "nothing may be mounted over /proc"),
        ({"destination": "/x"}, "neither a type"),
        (bind(uidMappings=[{"containerID": 0, "hostID": 0, "size": 1}] * 1000), "the kernel takes 340"),
    ],
)
def test_a_mount_that_cannot_be_is_refused(mount: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        plan(spec(mounts=[mount]))


@pytest.mark.parametrize("name", ["/proc/cpuinfo", "/proc/meminfo", "/proc/uptime"])
def test_what_lxcfs_covers_may_be_covered(name: str) -> None:
    assert f"bind /srv on {name}" in plan(spec(mounts=[bind(destination=name)])).describe()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"root": {}}, "root: has no path"),
        ({"process": {}}, "has no process"),
        ({"process__args": []}, "args are empty"),
        ({"process__args": ["a\0b"]}, "NUL"),
        ({"process__cwd": "relative"}, "needs to be an absolute path"),
        ({"process__rlimits": [{"type": "RLIMIT_X"}]}, "rlimit RLIMIT_X: unknown"),
        ({"process__rlimits": [{"type": "RLIMIT_CPU", "soft": 2, "hard": 1}]}, "is above hard"),
        ({"hostname": "x" * 65}, "longer than 64"),
        ({"hostname": "x", "linux__namespaces": [{"type": "mount"}]}, "no uts namespace of its own"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "mount"}]}, "given twice"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "pidd"}]}, "unknown type"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "pid", "path": "x"}]}, "not an absolute path"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "pid", "path": "/" * 4096}]}, "not an absolute path"),
        ({"linux__namespaces": [{"type": "mount"}, {"type": "user"}]}, "uidMappings and gidMappings are needed"),
        ({"linux__namespaces": [{"type": "pid"}]}, "mount namespace of its own"),
        ({"linux__rootfsPropagation": "odd"}, "unknown"),
        ({"linux__personality": {"domain": "BSD"}}, "unknown domain"),
        ({"linux__maskedPaths": ["proc/kcore"]}, "not an absolute path"),
        ({"linux__devices": [{"path": "/dev/../x", "type": "c"}]}, "not absolute"),
        ({"linux__devices": [{"path": "/dev/x", "type": "z"}]}, "unknown type"),
        ({"linux__sysctl": {"kernel.panic": "1"}}, "sysctl 'kernel.panic=1' is not allowed"),
        ({"hooks": {"poststop": [{"path": "relative"}]}}, "not absolute"),
        ({"hooks": {"poststop": [{"path": "/x", "timeout": 0}]}}, "not positive"),
        ({"x-seccomp": "no base64!"}, "not base64"),
        ({"x-seccomp": b"1234567"}, "not a BPF program"),
        ({"x-rootfs": {"type": "btrfs"}}, "only an overlay"),
    ],
)
def test_a_wrong_spec_is_refused_before_anything_is_done(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((InvalidParameter, NotSupported), match=message):
        plan(spec(**changes))


@pytest.mark.parametrize(
    ("key", "allowed"),
    [
        ("net.ipv4.ip_forward", True),
        ("net/ipv4/conf/eth0.1/forwarding", True),
        ("kernel.shmmax", True),
        ("fs.mqueue.msg_max", True),
        ("kernel.domainname", True),
        ("kernel.core_pattern", False),
        ("vm.swappiness", False),
        ("net/../kernel/core_pattern", False),
        ("kernel.shm", False),
    ],
)
def test_only_sysctls_of_own_namespaces_are_allowed(key: str, allowed: bool) -> None:
    made = spec(linux__sysctl={key: "1"})
    if allowed:
        assert f"sysctl {key}=1" in plan(made).describe()
    else:
        with pytest.raises(EngineError):
            plan(made)


def test_a_sysctl_of_a_shared_namespace_is_refused() -> None:
    made = spec(linux__namespaces=[{"type": "mount"}], linux__sysctl={"net.core.somaxconn": "1"})
    with pytest.raises(InvalidParameter, match="no network namespace of its own"):
        plan(made)


def test_a_compiled_filter_is_taken_as_bytes_or_base64_and_wins_over_the_profile() -> None:
    program = bytes(range(16))
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "flags": ["SECCOMP_FILTER_FLAG_LOG"]}
    for given in (program, base64.b64encode(program).decode()):
        made = spec(linux__seccomp=profile)
        made["x-seccomp"] = given
        assert seccomp_program(made) == (program, c.SECCOMP_FILTER_FLAG_LOG)
    assert seccomp_program(spec()) == (b"", 0)
    compiled, _ = seccomp_program(spec(linux__seccomp=profile))
    assert compiled


def test_the_pid_namespace_is_joined_by_path_and_not_made() -> None:
    made = plan(spec(linux__namespaces=[{"type": "mount"}, {"type": "pid", "path": "/proc/1/ns/pid"}]))
    assert made.clone_flags == c.CLONE_NEWNS
    assert made.namespaces.join == [(c.CLONE_NEWPID, "/proc/1/ns/pid")]


def test_cgroup_and_time_namespaces_are_entered_late() -> None:
    kinds = [{"type": kind} for kind in ("mount", "cgroup", "time")]
    made = plan(spec(linux__namespaces=kinds, linux__timeOffsets={"boottime": {"secs": 5, "nanosecs": 7}}))
    assert made.clone_flags == c.CLONE_NEWNS
    assert made.new_cgroup_namespace
    assert made.time_offsets == "boottime 5 7\n"


@pytest.mark.parametrize("number", [(-1, 0), (4096, 0), (0, 2**20), (2**40, 1)])
def test_a_device_number_that_the_kernel_cannot_encode_is_refused(number: tuple[int, int]) -> None:
    entry = {"path": "/dev/x", "type": "c", "major": number[0], "minor": number[1]}
    with pytest.raises(InvalidParameter, match="device /dev/x: no device has the number"):
        plan(spec(linux__devices=[entry]))

"""Settings of a service as seen from inside its container, all in one stack; what they say is what Docker's containers say."""

from __future__ import annotations

import glob
import os
import secrets
import stat
from typing import TYPE_CHECKING

import pytest

from tests.kit.stack import poll

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kit.stack import Stack

pytestmark = [pytest.mark.root, pytest.mark.both]

FILE = """
    x-own: &own {image: localhost/host, command: sleep 1000, init: true, stop_grace_period: 0s}
    services:
      limits:
        <<: *own
        mem_limit: 64m
        memswap_limit: 96m
        mem_reservation: 32m
        mem_swappiness: 10
        oom_kill_disable: true
        oom_score_adj: 300
        cpu_shares: 512
        cpuset: "0"
        cpu_quota: 20000
        cpu_period: 50000
        pids_limit: 20
      reserved:
        <<: *own
        deploy: {resources: {limits: {cpus: "0.5", memory: 50M, pids: 30}, reservations: {cpus: "0.25", memory: 20M}}}
      placed: {<<: *own, cgroup_parent: /%(parent)s/deep, runtime: runc, security_opt: [apparmor=unconfined]}
      weighed:
        <<: *own
        blkio_config:
          device_read_bps: [{path: %(disk)s, rate: 1mb}]
          device_write_bps: [{path: %(disk)s, rate: 2mb}]
          device_read_iops: [{path: %(disk)s, rate: 30}]
          device_write_iops: [{path: %(disk)s, rate: 40}]
      greedy:
        <<: *own
        mem_limit: 32m
        memswap_limit: 32m
        command: ["sh", "-c", "x=a; while :; do x=$$x$$x; done"]
      more: {<<: *own, cap_add: [ALL], cap_drop: [CAP_SYS_ADMIN]}
      less:
        <<: *own
        user: "1000:33"
        cap_drop: [ALL]
        group_add: ["7", adm]
        security_opt: ["no-new-privileges:true", "seccomp:unconfined", "label:disable"]
      filtered: {<<: *own, security_opt: ["seccomp=./filter.json"]}
      tuned:
        <<: *own
        sysctls: {net.core.somaxconn: 77, kernel.msgmax: 9000}
        devices: ["/dev/null:/dev/mine:r"]
        device_cgroup_rules: ["c 10:229 rwm"]
        read_only: true
        shm_size: 8m
        tmpfs: ["/short:size=2m,mode=700,exec", /long]
      mounts:
        <<: *own
        volumes:
          - {type: bind, source: ./adir, target: /plain, bind: {propagation: rprivate}}
          - {type: bind, source: ./adir, target: /shallow, read_only: true, bind: {recursive: disabled}}
          - ./adir:/labelled:ro,z
          - {type: volume, source: empty, target: /etc/default, volume: {nocopy: true}}
          - {type: volume, source: filled, target: /etc/security}
          - drivertmpfs:/drivertmpfs
          - driverbind:/driverbind:ro
      heir: {<<: *own, volumes_from: ["mounts:ro"]}
      files:
        <<: *own
        volumes: [{type: tmpfs, target: /memory, tmpfs: {size: 1m, mode: 0o1700}}]
        configs: [inline, {source: inline, target: /etc/placed, uid: "1000", gid: "33", mode: 0o400}]
        secrets: [fromfile, {source: fromenv, target: renamed, uid: "5", mode: 0o440}]
      wide: {<<: *own, privileged: true}
      six:
        <<: *own
        init: false
        stop_signal: SIGKILL
        mac_address: "02:42:0a:00:00:99"
        extra_hosts: ["outside:host-gateway", "fixed=1.2.3.4", "v6:::1"]
        dns: [192.0.2.1]
        dns_search: [example.org]
        dns_opt: ["ndots:3"]
        networks: {dual: {ipv6_address: "%(subnet)s::9", aliases: [other]}}
      apart: {<<: *own, networks: [closed]}
      shared: {<<: *own, pid: "service:six", uts: host, cgroup: private, userns_mode: host}
      sick:
        <<: *own
        healthcheck: {test: [CMD-SHELL, exit 1], interval: 100ms, retries: 2, timeout: 2s, start_period: 1ms, start_interval: 100ms}
      unprobed: {<<: *own, healthcheck: {disable: true}}
      bare: {<<: *own, command: [/bare.sh, two words], volumes: ["./bare.sh:/bare.sh:ro"]}
      stubborn: {<<: *own, init: false, command: "false", restart: "on-failure:2"}
    networks:
      dual:
        enable_ipv6: true
        driver_opts: {com.docker.network.driver.mtu: "1400"}
        ipam: {config: [{subnet: "%(subnet)s::/64"}]}
      closed: {internal: true}
    volumes:
      empty:
      filled:
      drivertmpfs: {driver_opts: {type: tmpfs, device: tmpfs, o: "size=1m,uid=1000,mode=750"}}
      driverbind: {driver_opts: {type: none, o: bind, device: "${PWD}/adir"}}
    configs: {inline: {content: "one $$dollar"}}
    secrets: {fromfile: {file: ./secret.txt}, fromenv: {environment: HOME}}
"""
SUBNET = f"fd99:{0x1000 + secrets.randbelow(0xF000):x}:{0x1000 + secrets.randbelow(0xF000):x}"
PARENT = f"pyt{secrets.token_hex(4)}"
FILTER = (
    """{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]}"""
)


@pytest.fixture(scope="module")
def settings(module_stack: Stack) -> Iterator[Stack]:
    module_stack.write("filter.json", FILTER)
    module_stack.write("secret.txt", "hidden")
    module_stack.write("adir/x", "content\n")
    module_stack.environment["PWD"] = str(module_stack.folder)
    module_stack.write("bare.sh", 'echo "$# $1"\nexec sleep 1000\n').chmod(0o755)
    module_stack.compose(FILE % {"subnet": SUBNET, "parent": PARENT, "disk": _disk()})
    module_stack.run("up", "-d")
    yield module_stack
    module_stack.run("down", "-v", "-t", "0")
    if module_stack.is_peer:  # it leaves the parents that it made
        for path in glob.glob(f"/sys/fs/cgroup/*/{PARENT}"):
            os.rmdir(f"{path}/deep")
            os.rmdir(path)
    assert not glob.glob(f"/sys/fs/cgroup/*/{PARENT}")


def _disk() -> str:
    """A block device whose node lies in /dev."""
    found = (f"/dev/{name}" for name in sorted(os.listdir("/sys/block"), reverse=True))
    return next((path for path in found if os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode)), "/dev/none")


def status(settings: Stack, service: str) -> dict[str, str]:
    """/proc/self/status of a program started in it."""
    lines = settings.exec(service, "cat", "/proc/self/status").lines
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def mounts(settings: Stack, service: str) -> dict[str, set[str]]:
    """Mount point → options of the mount and its file system."""
    found = {}
    for line in settings.exec(service, "cat", "/proc/self/mountinfo").lines:
        words = line.split()
        found[words[4]] = {*words[5].split(","), *words[-1].split(",")}
    return found


def cgroup(settings: Stack, service: str, controller: str) -> str:
    """Where it lies in a hierarchy of version 1, as the host sees it."""
    pid = settings.inspect(f"{service}-1")["State"]["Pid"]
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as stream:
        return next(line.strip().split(":", 2)[2] for line in stream if controller in line.split(":")[1].split(","))


def limit(settings: Stack, service: str, controller: str, name: str) -> str:
    """A value of the container's cgroup of version 1, as the host sees it."""
    path = cgroup(settings, service, controller)
    with open(f"/sys/fs/cgroup/{controller}{path}/{name}", encoding="ascii") as stream:
        return stream.read().split("\n")[0]


@pytest.mark.parametrize(
    ("controller", "name", "value"),
    [
        ("memory", "memory.limit_in_bytes", str(64 << 20)),
        ("memory", "memory.memsw.limit_in_bytes", str(96 << 20)),
        ("memory", "memory.soft_limit_in_bytes", str(32 << 20)),
        ("memory", "memory.swappiness", "10"),
        ("memory", "memory.oom_control", "oom_kill_disable 1"),
        ("cpu", "cpu.shares", "512"),
        ("cpu", "cpu.cfs_quota_us", "20000"),
        ("cpu", "cpu.cfs_period_us", "50000"),
        ("cpuset", "cpuset.cpus", "0"),
        ("pids", "pids.max", "20"),
    ],
)
def test_a_limit_is_in_the_cgroup(settings: Stack, controller: str, name: str, value: str) -> None:
    assert limit(settings, "limits", controller, name) == value


@pytest.mark.parametrize(
    ("controller", "name", "value"),
    [
        ("memory", "memory.limit_in_bytes", str(50 << 20)),
        ("memory", "memory.memsw.limit_in_bytes", str(100 << 20)),
        ("memory", "memory.soft_limit_in_bytes", str(20 << 20)),
        ("cpu", "cpu.cfs_quota_us", "50000"),
        ("pids", "pids.max", "30"),
    ],
)
def test_what_deploy_says_is_in_the_cgroup(settings: Stack, controller: str, name: str, value: str) -> None:
    assert limit(settings, "reserved", controller, name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [("read_bps", 1 << 20), ("write_bps", 2 << 20), ("read_iops", 30), ("write_iops", 40)],
)
def test_a_disk_is_read_and_written_no_faster_than_allowed(settings: Stack, name: str, value: int) -> None:
    number = os.stat(_disk()).st_rdev
    expected = f"{os.major(number)}:{os.minor(number)} {value}"
    assert limit(settings, "weighed", "blkio", f"blkio.throttle.{name}_device") == expected


@pytest.mark.parametrize("controller", ["memory", "pids", "devices"])
def test_a_cgroup_lies_below_the_parent_that_was_named(settings: Stack, controller: str) -> None:
    identity = settings.inspect("placed-1")["Id"]
    assert cgroup(settings, "placed", controller) == f"/{PARENT}/deep/{identity}"


def test_a_script_without_a_first_line_is_run_by_the_shell_below_an_init(settings: Stack) -> None:
    poll(lambda: "1 two words" in settings.run("logs", "--no-log-prefix", "bare").out)


def test_more_processes_than_allowed_are_refused(settings: Stack) -> None:
    tried = settings.exec("limits", "sh", "-c", "for i in $(seq 25); do sleep 1 & done; wait", ok=False)
    assert "Cannot fork" in tried.out + tried.err
    assert settings.exec("limits", "cat", "/proc/self/oom_score_adj").lines == ["300"]


def test_who_takes_too_much_memory_is_killed_and_it_shows(settings: Stack) -> None:
    ended = poll(lambda: (state := settings.inspect("greedy-1")["State"])["Status"] == "exited" and state)
    assert (ended["ExitCode"], ended["OOMKilled"]) == (137, True)


def test_capabilities_groups_and_filters(settings: Stack) -> None:
    every, none = status(settings, "more"), status(settings, "less")
    with open("/proc/self/status", encoding="ascii") as stream:
        own = next(int(line.split()[1], 16) for line in stream if line.startswith("CapBnd"))
    assert int(every["CapEff"], 16) == own & ~(1 << 21)
    assert (none["CapBnd"], none["NoNewPrivs"], none["Seccomp"]) == ("0" * 16, "1", "0")
    assert (none["Uid"].split()[0], sorted(none["Groups"].split())) == ("1000", ["33", "4", "7"])
    assert (status(settings, "wide")["Seccomp"], int(status(settings, "wide")["CapEff"], 16)) == ("0", own)
    assert "not permitted" in settings.exec("filtered", "mkdir", "/tmp/new", ok=False).err


def test_a_kernel_setting_a_device_and_a_root_that_cannot_be_written(settings: Stack) -> None:
    read = "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/msgmax; stat -c '%t %T' /dev/mine"
    assert settings.exec("tuned", "sh", "-c", read).lines == ["77", "9000", "1 3"]
    assert "c 10:229 rwm" in settings.exec("tuned", "cat", "/sys/fs/cgroup/devices/devices.list").lines
    assert "Read-only file system" in settings.exec("tuned", "touch", "/x", ok=False).err
    found = mounts(settings, "tuned")
    assert {"size=2048k", "mode=700", "nosuid", "nodev"} <= found["/short"]
    assert "noexec" not in found["/short"]
    assert "noexec" in found["/long"]
    assert "size=8192k" in found["/dev/shm"]


def test_mounts_have_the_options_that_were_asked_for(settings: Stack) -> None:
    found = mounts(settings, "mounts")
    writable = {path: "rw" in found[path] and "ro" not in found[path] for path in ("/plain", "/drivertmpfs")}
    assert writable == {"/plain": True, "/drivertmpfs": True}
    assert all("ro" in found[path] for path in ("/shallow", "/labelled", "/driverbind"))
    assert {"size=1024k", "mode=1700"} <= mounts(settings, "files")["/memory"]
    show = "stat -c '%u %a' /drivertmpfs; cat /driverbind/x; ls -A /etc/default | wc -l; ls -A /etc/security | wc -l"
    owner, content, empty, filled = settings.exec("mounts", "sh", "-c", show).lines
    assert (owner, content, empty) == ("1000 750", "content", "0")
    there = settings.exec("files", "sh", "-c", "ls -A /etc/security 2>/dev/null | wc -l").lines
    assert [filled] == there


@pytest.mark.ours
def test_volumes_of_another_container_are_read_only_where_asked(settings: Stack) -> None:
    inherited = mounts(settings, "heir")
    assert all("ro" in inherited[path] for path in ("/plain", "/labelled", "/etc/security", "/driverbind"))


def test_configs_and_secrets_are_files_with_an_owner_and_a_mode(settings: Stack) -> None:
    paths = "/inline /etc/placed /run/secrets/renamed"
    out = settings.exec("files", "sh", "-c", f"stat -c '%u %g %a' {paths}; cat {paths} /run/secrets/fromfile").out
    assert out.startswith("0 0 444\n1000 33 400\n5 0 440\n")
    assert out.endswith("one $dollarone $dollar" + settings.environ()["HOME"] + "hidden")


def test_addresses_names_and_resolver(settings: Stack) -> None:
    show = (
        "cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu; ip -o addr show eth0; cat /etc/hosts /etc/resolv.conf"
    )
    out = settings.exec("six", "sh", "-c", show).out
    assert out.startswith("02:42:0a:00:00:99\n1400\n")
    for words in (f"{SUBNET}::9/64", "1.2.3.4\tfixed", "::1\tv6", "search example.org", "ndots:3"):
        assert words in out
    assert settings.exec("six", "getent", "hosts", "other").lines
    assert settings.exec("six", "getent", "hosts", "outside").lines
    assert "default" not in settings.exec("apart", "ip", "route").out


def test_namespaces_of_others(settings: Stack) -> None:
    show = "tr '\\0' ' ' </proc/1/cmdline; echo; cat /proc/self/uid_map | tr -s ' '; grep :pids: /proc/self/cgroup"
    first, ids, cgroup = settings.exec("shared", "sh", "-c", show).lines
    assert "sleep 1000" in first
    assert (ids.strip(), cgroup.split(":")[2]) == ("0 0 4294967295", "/")
    with open("/proc/sys/kernel/hostname", encoding="ascii") as stream:
        assert settings.exec("shared", "hostname").out == stream.read()


def test_probes_and_restarts(settings: Stack) -> None:
    poll(lambda: settings.inspect("sick-1")["State"]["Health"]["Status"] == "unhealthy")
    assert not settings.inspect("unprobed-1")["State"].get("Health")
    ended = poll(lambda: (found := settings.inspect("stubborn-1"))["State"]["Status"] == "exited" and found)
    assert (ended["RestartCount"], ended["State"]["ExitCode"]) == (2, 1)

"""What this machine is and allows, found out once and handed to whoever decides by it.

Instead of questions like "are we root" all over: a record that a test can make up.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.linux import constants as c
from runtime.linux.syscalls import KERNEL
from runtime.linux.trial import attempt

if TYPE_CHECKING:
    from collections.abc import Callable

_FULL_RANGE = 2**32 - 1
_V1_CONTROLLERS = frozenset({"memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio"})


@dataclass(frozen=True, kw_only=True)
class HostFacts:
    """The defaults are those of a plain machine, for tests."""

    kernel: tuple[int, int] = (6, 1)
    release: str = "6.1.0"
    machine: str = "x86_64"
    hostname: str = "localhost"
    boot_id: str = ""
    uid: int = 0
    initial_user_namespace: bool = True
    """False inside a user namespace that does not map all ids: rootless, or a container."""
    capabilities: int = (1 << 41) - 1
    """Our bounding set as a mask; virtual machines may lack CAP_SYS_RESOURCE (bit 24)."""
    cpus: frozenset[int] = frozenset({0})
    """Online processors."""
    memory_nodes: frozenset[int] = frozenset({0})
    cgroup_version: int = 2
    """1 where any v1 controller is mounted, 2, or 0 without any."""
    overlay_ok: bool = True
    """Whether an overlay with its upper layer in the data root can be mounted."""
    bridge_nf: bool = False
    """Bridged frames pass the IP firewall: rules must accept what stays on one bridge."""
    ip_forward: bool = True
    ipv6: bool = True
    docker: bool = False
    """A Docker daemon runs."""
    apparmor: bool = False
    selinux: bool = False
    masked_paths: tuple[str, ...] = ()
    """Per-CPU thermal counters, a side channel; this machine's share of the paths to hide from containers."""

    @property
    def rootless(self) -> bool:
        """Without the rights of the machine's root."""
        return self.uid != 0 or not self.initial_user_namespace


def detect(data_root: str = "", read: Callable[[str], str] | None = None) -> HostFacts:
    """The facts of this machine; the overlay is tried in `data_root`, which must exist (empty: not tried, False).

    Only for a process without other threads, for the trial forks. `read` gives the text of a file, empty if absent.
    """
    text = read or read_text
    name = os.uname()
    processors = parse_list(text("/sys/devices/system/cpu/online"))
    return HostFacts(
        kernel=kernel_version(name.release),
        release=name.release,
        machine=name.machine,
        hostname=name.nodename,
        boot_id=text("/proc/sys/kernel/random/boot_id").strip(),
        uid=os.geteuid(),
        initial_user_namespace=maps_everything(text("/proc/self/uid_map")),
        capabilities=bounding_set(text("/proc/self/status")),
        cpus=processors or frozenset(range(os.cpu_count() or 1)),
        memory_nodes=parse_list(text("/sys/devices/system/node/online")) or frozenset({0}),
        cgroup_version=cgroup_version(text("/proc/self/mountinfo")),
        overlay_ok=bool(data_root) and overlay_problem(data_root) is None,
        bridge_nf=text("/proc/sys/net/bridge/bridge-nf-call-iptables").strip() == "1",
        ip_forward=text("/proc/sys/net/ipv4/ip_forward").strip() == "1",
        ipv6=text("/proc/sys/net/ipv6/conf/all/disable_ipv6").strip() == "0",
        docker=docker_runs(text),
        apparmor=text("/sys/module/apparmor/parameters/enabled").strip() == "Y",
        selinux=bool(text("/sys/fs/selinux/enforce")),
        masked_paths=thermal_paths(parse_list(text("/sys/devices/system/cpu/possible"))),
    )


def overlay_problem(directory: str) -> str | None:
    """Why an overlay with its layers in `directory` cannot be mounted and written to; None if it can."""
    try:
        base = tempfile.mkdtemp(prefix=".overlay-", dir=directory)
    except OSError as error:
        return f"{directory}: {os.strerror(error.errno or 0).lower()}"
    try:
        return attempt(lambda: _mount_overlay(base))
    finally:
        try:
            os.chmod(f"{base}/work/work", 0o700)  # the kernel makes it with mode 0: rmtree could not look into it
        except OSError:
            pass
        shutil.rmtree(base, ignore_errors=True)


def _mount_overlay(base: str) -> None:
    for name in ("lower", "upper", "work", "merged"):
        os.mkdir(f"{base}/{name}")
    os.mkdir(f"{base}/lower/kept")
    uid, gid = os.geteuid(), os.getegid()
    KERNEL.unshare(c.CLONE_NEWNS if uid == 0 else c.CLONE_NEWNS | c.CLONE_NEWUSER)
    if uid != 0:
        # What belongs to an id without a mapping cannot be written to, be it user or group.
        for name, text in (("uid_map", f"0 {uid} 1"), ("setgroups", "deny"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    KERNEL.mount("", "/", "", c.MS_SLAVE | c.MS_REC)
    layers = f"lowerdir={base}/lower,upperdir={base}/upper,workdir={base}/work"
    if uid != 0:
        layers += ",userxattr"
    KERNEL.mount("overlay", f"{base}/merged", "overlay", 0, layers)
    # A directory of the lower layer replaced: that needs whiteouts and extended attributes.
    os.rmdir(f"{base}/merged/kept")
    os.mkdir(f"{base}/merged/kept")


def kernel_version(release: str) -> tuple[int, int]:
    """(major, minor) of a release such as `6.1.0-17-amd64`."""
    major, _, rest = release.partition(".")
    minor = rest.partition(".")[0].partition("-")[0].rstrip("+")
    return int(major), int(minor)


def maps_everything(uid_map: str) -> bool:
    """Whether a uid_map is that of the initial user namespace: every id is itself."""
    lines = [tuple(int(field) for field in line.split()) for line in uid_map.splitlines() if line.strip()]
    return not lines or lines == [(0, 0, _FULL_RANGE)]


def bounding_set(status: str) -> int:
    """The mask CapBnd of a /proc/PID/status."""
    for line in status.splitlines():
        if line.startswith("CapBnd:"):
            return int(line.split()[1], 16)
    return 0


def cgroup_version(mountinfo: str) -> int:
    """Which cgroup hierarchy carries the controllers, from mount points; v1 wins in a hybrid layout."""
    unified = 0
    for line in mountinfo.splitlines():
        kind, _, options = line.partition(" - ")[2].partition(" ")
        if kind == "cgroup" and _V1_CONTROLLERS & set(options.split(" ")[-1].split(",")):
            return 1
        if kind == "cgroup2":
            unified = 2
    return unified


def parse_list(text: str) -> frozenset[int]:
    """The numbers of a kernel list such as `0-3,8`; empty for an empty text."""
    numbers: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        if first:
            numbers.update(range(int(first), int(last or first) + 1))
    return frozenset(numbers)


def thermal_paths(processors: frozenset[int]) -> tuple[str, ...]:
    """The thermal counters that this machine has."""
    paths = (f"/sys/devices/system/cpu/cpu{number}/thermal_throttle" for number in sorted(processors))
    return tuple(path for path in paths if os.path.isdir(path))


def docker_runs(text: Callable[[str], str]) -> bool:
    """Whether the process that Docker's pid file names is a Docker daemon: pid files outlive daemons."""
    pid = text("/run/docker.pid").strip()
    return pid.isdecimal() and text(f"/proc/{pid}/comm").strip() == "dockerd"


def read_text(path: str) -> str:
    """The text of a small file, empty if it cannot be read."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""

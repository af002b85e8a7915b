"""The kernel: version, the system calls that we build on, namespaces, seccomp, cgroups. Everything is tried, not looked up."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Final

from runtime.cgroups import layout
from runtime.doctor.findings import Finding, must, should
from runtime.errors import EngineError
from runtime.linux import constants as c
from runtime.linux.syscalls import KERNEL
from runtime.linux.trial import attempt
from runtime.oci import seccomp
from runtime.oci.capabilities import DEFAULT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.cgroups.layout import Layout
    from runtime.linux.hostfacts import HostFacts

_OLDEST: Final = (5, 12)
"""mount_setattr came with 5.12."""
_NAMESPACES: Final = (
    ("mount", c.CLONE_NEWNS, "CONFIG_NAMESPACES"),
    ("uts", c.CLONE_NEWUTS, "CONFIG_UTS_NS"),
    ("ipc", c.CLONE_NEWIPC, "CONFIG_IPC_NS"),
    ("pid", c.CLONE_NEWPID, "CONFIG_PID_NS"),
    ("network", c.CLONE_NEWNET, "CONFIG_NET_NS"),
    ("cgroup", c.CLONE_NEWCGROUP, "CONFIG_CGROUPS"),
)
_CONTROLLERS: Final = ("memory", "cpu", "pids", "cpuset", "blkio", "freezer", "devices")
_V2_NAMES: Final = {"blkio": "io"}
_V2_BUILT_IN: Final = frozenset({"freezer", "devices"})


def check(facts: HostFacts) -> Iterator[Finding]:
    """All findings of this module."""
    yield version(facts)
    for name, action in _system_calls():
        yield must(name, attempt(action), "works", "use a newer kernel, or allow the call in the sandbox around us")
    rootless = c.CLONE_NEWUSER if facts.rootless else 0
    yield namespaces(rootless)
    yield user_namespace()
    yield seccomp_filter(rootless)
    found = layout.detect()
    yield cgroups(found, rootless=facts.rootless)
    if found.version:
        yield controllers(found)


def version(facts: HostFacts) -> Finding:
    """The kernel's version."""
    wanted = ".".join(str(part) for part in _OLDEST)
    problem = None if facts.kernel >= _OLDEST else f"{facts.release}, {wanted} or newer is needed"
    return must("kernel", problem, facts.release, "use a newer kernel", "linux-image-amd64")


def namespaces(extra: int = 0) -> Finding:
    """The six kinds of namespaces that every container has; `extra` is entered first (a user namespace for non-root)."""
    broken = {}
    for name, flag, option in _NAMESPACES:
        problem = attempt(partial(KERNEL.unshare, flag | extra))
        if problem:
            broken[name] = (problem, option)
    if not broken:
        return must("namespaces", None, ", ".join(name for name, _, _ in _NAMESPACES))
    told = "; ".join(f"{name}: {problem}" for name, (problem, _) in broken.items())
    options = ", ".join(dict.fromkeys(option for _, option in broken.values()))
    return must("namespaces", told, "", f"run as root, on a kernel with {options}")


def user_namespace() -> Finding:
    """User namespaces, for ordinary users and remapped ids."""
    problem = attempt(lambda: KERNEL.unshare(c.CLONE_NEWUSER))
    advice = "only needed without root: sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone"
    return should("user namespaces", problem, "can be made", advice)


def seccomp_filter(extra: int = 0) -> Finding:
    """Our default filter, installed in a child."""

    def install() -> None:
        program = seccomp.default_program(frozenset(DEFAULT))
        KERNEL.unshare(extra)
        KERNEL.seccomp_set_filter(program, seccomp.DEFAULT_FLAGS)
        os.getppid()

    return must("seccomp", attempt(install), "default filter installs", "use a kernel with CONFIG_SECCOMP_FILTER")


def cgroups(found: Layout, *, rootless: bool) -> Finding:
    """A cgroup hierarchy in which a cgroup can be made; without root containers run without limits if there is none."""
    if not found.version:
        if rootless:
            advice = "limits are not kept; delegate a cgroup to this user (systemd: Delegate=yes)"
            return should("cgroups", "no hierarchy that can be written to", "", advice)
        advice = "mount cgroup2 on /sys/fs/cgroup"
        return must("cgroups", "no hierarchy that can be written to", "", advice, "cgroupfs-mount")
    where = found.mounts.get("") or found.mounts.get("memory") or next(iter(found.mounts.values()))
    problem = attempt(lambda: _make_cgroup(where))
    return must("cgroups", problem, f"version {found.version}", f"make {where} writable for us")


def controllers(found: Layout) -> Finding:
    """The controllers behind the limits of a container."""
    absent = [name for name in _CONTROLLERS if name not in _controllers_of(found)]
    if "memory" in absent or "pids" in absent:
        advice = "boot with cgroup_enable=memory; delegate the controllers to us"
        return should("controllers", f"lacking {', '.join(absent)}: such limits are not kept", "", advice)
    problem = f"lacking {', '.join(absent)}" if absent else None
    return should("controllers", problem, ", ".join(_CONTROLLERS), "limits of these kinds are not kept")


def _controllers_of(found: Layout) -> frozenset[str]:
    if found.version == 1:
        return frozenset(found.mounts)
    try:
        with open(f"{found.mounts['']}/cgroup.controllers", encoding="ascii") as file:
            there = set(file.read().split())
    except OSError:
        return frozenset()
    return _V2_BUILT_IN | {name for name in _CONTROLLERS if _V2_NAMES.get(name, name) in there}


def _make_cgroup(where: str) -> None:
    path = f"{where}/pycompose-doctor-{os.getpid()}"
    os.mkdir(path)
    os.rmdir(path)


def _system_calls() -> Iterator[tuple[str, Callable[[], object]]]:
    yield "pidfd", _try_pidfd
    yield "openat2", lambda: KERNEL.openat2(c.AT_FDCWD, "/", os.O_PATH, resolve=c.RESOLVE_IN_ROOT)
    yield "close_range", lambda: KERNEL.close_range(1000, 1001)
    yield "clone3", _try_clone3
    yield "mount by descriptor", _try_mounts


def _try_pidfd() -> None:
    fd = KERNEL.pidfd_open(os.getpid())
    KERNEL.pidfd_send_signal(fd, 0)


def _try_clone3() -> None:
    pid, _ = KERNEL.clone3(0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def _try_mounts() -> None:
    KERNEL.unshare(c.CLONE_NEWNS if os.geteuid() == 0 else c.CLONE_NEWNS | c.CLONE_NEWUSER)
    KERNEL.mount("", "/", "", c.MS_SLAVE | c.MS_REC)
    tree = KERNEL.open_tree(c.AT_FDCWD, "/proc", c.OPEN_TREE_CLONE)
    KERNEL.mount_setattr(tree, c.MOUNT_ATTR_RDONLY)
    target = os.open("/proc", os.O_PATH | os.O_DIRECTORY)
    try:
        KERNEL.move_mount(tree, target)
    except EngineError as error:
        raise RuntimeError(f"move_mount: {error}") from error

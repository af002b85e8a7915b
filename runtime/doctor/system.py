"""The program's own surroundings: interpreter, modules, user, capabilities, limits, disk."""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
from typing import TYPE_CHECKING, Final

from runtime.doctor.findings import Finding, must, should
from runtime.linux.hostfacts import overlay_problem
from runtime.oci import capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runtime.linux.hostfacts import HostFacts

_PYTHON: Final = (3, 11)
_MODULES: Final = ("typer", "yaml", "jsonschema", "h11", "watchfiles")
_NEEDED: Final = frozenset(
    f"CAP_{name}" for name in ("SYS_ADMIN", "NET_ADMIN", "MKNOD", "SETUID", "SETGID", "SETPCAP", "CHOWN", "KILL")
)
_DESCRIPTORS: Final = 4096
_ROOM: Final = 1 << 30
_LITTLE_ROOM: Final = 64 << 20


def check(facts: HostFacts, data_root: str) -> Iterator[Finding]:
    """All findings of this module."""
    yield python()
    yield modules()
    yield machine(facts)
    yield user(facts)
    if not facts.rootless:
        yield privileges(facts)
    yield descriptors()
    yield room(data_root)
    yield overlay(data_root)


def python() -> Finding:
    """The interpreter's version."""
    shown = ".".join(str(part) for part in sys.version_info[:3])
    wanted = ".".join(str(part) for part in _PYTHON)
    problem = None if sys.version_info[:2] >= _PYTHON else f"{shown}, {wanted} or newer is needed"
    return must("python", problem, shown, "install a newer Python", "python3")


def modules() -> Finding:
    """The Python distributions that command line and engine import."""
    absent = [name for name in _MODULES if importlib.util.find_spec(name) is None]
    if sys.version_info < (3, 14) and importlib.util.find_spec("zstandard") is None:
        absent.append("zstandard")
    problem = f"not installed: {', '.join(absent)}" if absent else None
    return must("python modules", problem, "all there", "pip install pycompose-engine")


def machine(facts: HostFacts) -> Finding:
    """The processor's architecture: system call numbers are known for two."""
    problem = None if facts.machine in ("x86_64", "aarch64") else f"{facts.machine} is not supported"
    return must("machine", problem, f"{facts.machine}, {len(facts.cpus)} processors", "use an x86-64 or arm64 machine")


def user(facts: HostFacts) -> Finding:
    """Root, or an ordinary user who needs ranges of ids for a user namespace."""
    if not facts.rootless:
        return must("user", None, "root")
    if facts.uid == 0:
        return should("user", "root of a user namespace", "", "some limits and device nodes cannot be had here")
    absent = [path for path in ("/etc/subuid", "/etc/subgid") if not _has_range(path, facts.uid)]
    problem = f"no range of ids in {' and '.join(absent)}" if absent else "not root"
    return should("user", problem, "", "run as root, or add ranges with usermod --add-subuids", "uidmap")


def privileges(facts: HostFacts) -> Finding:
    """The bounding set of root: a container or a small virtual machine may have been given less."""
    held = capabilities.names_of(facts.capabilities)
    lacking = [name for name in capabilities.NAMES if name not in held]
    fatal = sorted(_NEEDED & set(lacking))
    if fatal:
        return must("capabilities", f"lacking {', '.join(fatal)}", "", "start with these capabilities")
    problem = f"lacking {', '.join(lacking)}" if lacking else None
    advice = "containers that ask for them are refused; limits cannot be raised without CAP_SYS_RESOURCE"
    return should("capabilities", problem, "all", advice)


def descriptors() -> Finding:
    """The hard limit of open files: the engine holds several for each container."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    shown = "unlimited" if hard == resource.RLIM_INFINITY else str(hard)
    problem = None if hard == resource.RLIM_INFINITY or hard >= _DESCRIPTORS else f"at most {shown}"
    return should(
        "open files", problem, f"at most {shown}", f"raise the hard limit to {_DESCRIPTORS} or more (ulimit -Hn)"
    )


def room(data_root: str) -> Finding:
    """Free space where images and volumes lie."""
    place = existing(data_root)
    status = os.statvfs(place)
    free = status.f_bavail * status.f_frsize
    shown = f"{free / (1 << 30):.1f} GiB free in {place}"
    if status.f_files and not status.f_favail:
        return must(
            "disk space", f"no inodes left in {place}", "", "remove files, or move the data root with PYCOMPOSE_ROOT"
        )
    if free < _LITTLE_ROOM:
        return must(
            "disk space",
            f"{free >> 20} MiB free in {place}",
            "",
            "make room, or move the data root with PYCOMPOSE_ROOT",
        )
    return should(
        "disk space", None if free >= _ROOM else shown, shown, "make room, or move the data root with PYCOMPOSE_ROOT"
    )


def overlay(data_root: str) -> Finding:
    """Overlay mounts in the data root; without them images are copied."""
    place = existing(data_root)
    if not os.access(place, os.W_OK):
        return should("overlay", f"{place} cannot be written to", "", "choose another place with PYCOMPOSE_ROOT")
    advice = "images are copied instead, which is slower; an overlay cannot lie on another: use a disk of its own"
    return should("overlay", overlay_problem(place), f"works in {place}", advice)


def existing(path: str) -> str:
    """The nearest directory above `path`, or it itself, that exists."""
    while not os.path.isdir(path):
        path = os.path.dirname(path) or "/"
    return path


def _has_range(path: str, uid: int) -> bool:
    import pwd

    try:
        names = {str(uid), pwd.getpwuid(uid).pw_name}
    except KeyError:
        names = {str(uid)}
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return any(line.partition(":")[0] in names for line in file)
    except OSError:
        return False

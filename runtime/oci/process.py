"""Parse the `process` section of a spec into what execve and the calls before it take.

Done by the parent before the fork: numbers, masks and bytes, so that the child neither parses nor imports.
"""

from __future__ import annotations

import struct
from typing import Any, Final

from runtime.errors import InvalidParameter
from runtime.linux import constants as c
from runtime.linux import procfs
from runtime.oci import capabilities

_RLIMITS: Final = {
    f"RLIMIT_{name}": number
    for number, name in enumerate(
        (
            *("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS"),
            *("SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"),
        )
    )
}
_SCHEDULERS: Final = {
    "SCHED_OTHER": 0,
    "SCHED_FIFO": 1,
    "SCHED_RR": 2,
    "SCHED_BATCH": 3,
    "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}
_SCHEDULER_FLAGS: Final = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01,
    "SCHED_FLAG_RECLAIM": 0x02,
    "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08,
    "SCHED_FLAG_KEEP_PARAMS": 0x10,
    "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}
_IO_CLASSES: Final = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_MAX_ID: Final = 2**32 - 2
"""What follows is -1 to the kernel, "no change": the process would stay root."""
UNLIMITED: Final = 2**64 - 1
"""RLIM_INFINITY."""
_last_capability = -1


class Process:
    """What execve needs and what must be true of the process before it."""

    __slots__ = (
        *(
            "ambient",
            "apparmor",
            "argv",
            "bounding_drop",
            "cwd",
            "directory_postponed",
            "effective",
            "env",
            "executable",
        ),
        *("gid", "group_add", "groups", "inheritable", "io_priority", "no_new_privs", "oom_score_adj", "permitted"),
        *("rlimits", "scheduler", "seccomp", "seccomp_flags", "selinux", "size", "terminal", "uid", "umask", "user"),
    )

    argv: list[bytes]
    env: list[bytes]
    cwd: str
    terminal: bool
    size: tuple[int, int] | None
    """(rows, columns)"""
    user: str | None
    """user[:group] to be looked up inside the root; None: the ids below are final"""
    group_add: list[str]
    uid: int
    gid: int
    groups: list[int]
    umask: int
    effective: int
    permitted: int
    inheritable: int
    ambient: list[int]
    bounding_drop: list[int]
    rlimits: list[tuple[str, int, int, int]]
    """(name, number, soft, hard)"""
    no_new_privs: bool
    oom_score_adj: int | None
    apparmor: str
    selinux: str
    scheduler: bytes
    io_priority: int | None
    seccomp: bytes
    seccomp_flags: int
    executable: bytes
    """the path found in PATH, once resolved"""
    directory_postponed: bool
    """root may not enter cwd: tried again as the user"""

    def __init__(self) -> None:
        self.executable = b""
        self.directory_postponed = False


def parse(process: dict[str, Any], seccomp: bytes = b"", seccomp_flags: int = 0) -> Process:
    """Check the `process` section of a spec; raises InvalidParameter."""
    made = Process()
    made.argv = _strings(process.get("args"), "args")
    if not made.argv:
        raise InvalidParameter("process: args are empty")
    made.env = _strings(process.get("env"), "env")
    made.cwd = str(process.get("cwd") or "/")
    if not made.cwd.startswith("/") or "\0" in made.cwd:
        raise InvalidParameter(f"cwd {made.cwd!r} needs to be an absolute path")
    made.terminal = bool(process.get("terminal"))
    size = process.get("consoleSize") or {}
    made.size = None
    if size.get("height") or size.get("width"):
        made.size = int(size.get("height", 0)) & 0xFFFF, int(size.get("width", 0)) & 0xFFFF
    _parse_user(made, process)
    _parse_capabilities(made, process.get("capabilities") or {})
    made.rlimits = [_rlimit(entry) for entry in process.get("rlimits") or ()]
    made.no_new_privs = bool(process.get("noNewPrivileges"))
    made.oom_score_adj = process.get("oomScoreAdj")
    made.apparmor = str(process.get("apparmorProfile") or "")
    made.selinux = str(process.get("selinuxLabel") or "")
    made.scheduler = _scheduler(process.get("scheduler"))
    made.io_priority = _io_priority(process.get("ioPriority"))
    made.seccomp = seccomp
    made.seccomp_flags = seccomp_flags
    return made


def _strings(values: list[str] | None, what: str) -> list[bytes]:
    encoded = [value.encode(errors="surrogateescape") for value in values or ()]
    if any(b"\0" in value for value in encoded):
        raise InvalidParameter(f"process: {what} hold a NUL byte")
    return encoded


def _parse_user(made: Process, process: dict[str, Any]) -> None:
    user = process.get("user") or {}
    made.uid, made.gid = int(user.get("uid") or 0), int(user.get("gid") or 0)
    made.groups = [int(gid) for gid in user.get("additionalGids") or ()]
    for number in (made.uid, made.gid, *made.groups):
        if not 0 <= number <= _MAX_ID:
            raise InvalidParameter(f"user: id {number} is out of range")
    made.umask = 0o022 if user.get("umask") is None else int(user["umask"]) & 0o777
    made.user = process.get("x-user")
    made.group_add = [str(group) for group in process.get("x-groups") or ()]
    if made.group_add and made.user is None:
        made.user = str(made.uid)


def _parse_capabilities(made: Process, sets: dict[str, list[str]]) -> None:
    global _last_capability
    if _last_capability < 0:
        _last_capability = procfs.last_capability()
    bounding = capabilities.mask(sets.get("bounding") or ())
    made.bounding_drop = [number for number in range(_last_capability + 1) if not bounding >> number & 1]
    made.effective = capabilities.mask(sets.get("effective") or ())
    made.permitted = capabilities.mask(sets.get("permitted") or ())
    made.inheritable = capabilities.mask(sets.get("inheritable") or ())
    ambient = capabilities.mask(sets.get("ambient") or ())
    made.ambient = [number for number in range(_last_capability + 1) if ambient >> number & 1]


def _rlimit(entry: dict[str, Any]) -> tuple[str, int, int, int]:
    name = str(entry.get("type"))
    if name not in _RLIMITS:
        raise InvalidParameter(f"rlimit {name}: unknown")
    soft, hard = (int(entry.get(key, 0)) for key in ("soft", "hard"))
    soft, hard = (value if 0 <= value < UNLIMITED else UNLIMITED for value in (soft, hard))
    if soft > hard:
        raise InvalidParameter(f"rlimit {name}: soft {soft} is above hard {hard}")
    return name, _RLIMITS[name], soft, hard


def _scheduler(entry: dict[str, Any] | None) -> bytes:
    if not entry:
        return b""
    policy = str(entry.get("policy"))
    if policy not in _SCHEDULERS:
        raise InvalidParameter(f"scheduler policy {policy}: unknown")
    flags = 0
    for flag in entry.get("flags") or ():
        if flag not in _SCHEDULER_FLAGS:
            raise InvalidParameter(f"scheduler flag {flag}: unknown")
        flags |= _SCHEDULER_FLAGS[flag]
    numbers = [int(entry.get(key) or 0) for key in ("nice", "priority", "runtime", "deadline", "period")]
    try:
        return struct.pack("=IIQiIQQQ", 48, _SCHEDULERS[policy], flags, *numbers)
    except struct.error as error:
        raise InvalidParameter(f"scheduler {policy}: a number is out of range") from error


def _io_priority(entry: dict[str, Any] | None) -> int | None:
    if not entry:
        return None
    kind, level = str(entry.get("class")), int(entry.get("priority") or 0)
    if kind not in _IO_CLASSES or not 0 <= level <= 7:
        raise InvalidParameter(f"ioPriority {kind} {level}: unknown class or priority not in 0-7")
    return _IO_CLASSES[kind] << c.IOPRIO_CLASS_SHIFT | level

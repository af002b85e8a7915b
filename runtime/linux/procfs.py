"""Read the host's /proc: process start times and states, boot id, mounts.

Field 2 of /proc/PID/stat may hold spaces and parentheses: fields are counted after the last `)`.
"""

from __future__ import annotations

import os

from runtime.errors import NotFound


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
        return b"".join(chunks)
    finally:
        os.close(fd)


def _stat_fields(pid: int | str) -> list[bytes]:
    try:
        text = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError) as error:
        raise NotFound(f"process {pid}: not there") from error
    return text[text.rindex(b")") + 2 :].split()


def start_time(pid: int | str) -> int:
    """Start of the process in clock ticks since boot; raises `NotFound`."""
    return int(_stat_fields(pid)[19])


def state(pid: int | str) -> str:
    """One letter as in ps (R S D Z T ...); raises `NotFound`."""
    return _stat_fields(pid)[0].decode()


def boot_id() -> str:
    """The kernel's random name for this boot."""
    return _read("/proc/sys/kernel/random/boot_id").decode().strip()


def last_capability() -> int:
    """The highest capability number the kernel knows."""
    return int(_read("/proc/sys/kernel/cap_last_cap"))


def mount_point_of(path: str) -> str:
    """The mount point that holds `path` (an absolute, resolved path) in the caller's mount namespace."""
    best = "/"
    for line in _read("/proc/self/mountinfo").decode(errors="surrogateescape").splitlines():
        point = unescape(line.split(" ", 5)[4])
        if len(point) > len(best) and (path == point or path.startswith(point + "/")):
            best = point
    return best


def unescape(field: str) -> str:
    r"""Undo the octal escapes (\040 and the like) of a mountinfo field."""
    if "\\" not in field:
        return field
    head, *rest = field.split("\\")
    return head + "".join(chr(int(part[:3], 8)) + part[3:] for part in rest)

"""Describe processes as `ps -ef` does, from the host's /proc.

A process may end between any two reads: it is left out then, never an error.
"""

from __future__ import annotations

import os
import pwd
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

TITLES = ("UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD")
NAME_WIDTH = 8
"""A longer user name is cut and marked with `+`, as ps does."""
_PTS_MAJORS = range(136, 144)
_SERIAL_MAJOR = 4
_UID_LINE = b"\nUid:\t"


def table(pids: Iterable[int], *, now: float | None = None) -> list[list[str]]:
    """A row of `TITLES` for each of the processes that still is, by process id; `now` in seconds since the epoch."""
    moment = time.time() if now is None else now
    ticks = os.sysconf("SC_CLK_TCK")
    booted = _boot_time()
    return [row for pid in sorted(set(pids)) if (row := _row(pid, moment, booted, ticks)) is not None]


def _row(pid: int, now: float, booted: float, ticks: int) -> list[str] | None:
    try:
        stat, status, command = (_read(f"/proc/{pid}/{name}") for name in ("stat", "status", "cmdline"))
    except (FileNotFoundError, ProcessLookupError):
        return None
    opening, closing = stat.index(b"("), stat.rindex(b")")
    fields = stat[closing + 2 :].split()
    worked = (int(fields[11]) + int(fields[12])) // ticks
    began = booted + int(fields[19]) / ticks
    uid = int(status.partition(_UID_LINE)[2].split(maxsplit=1)[0])
    words = command.rstrip(b"\0").replace(b"\0", b" ").decode("utf-8", "backslashreplace")
    return [
        user_name(uid),
        str(pid),
        fields[1].decode(),
        str(min(99, int(worked * 100 / max(now - began, 1.0)))),
        start_text(began, now),
        terminal_name(int(fields[4])),
        cpu_time(worked),
        words or f"[{stat[opening + 1 : closing].decode('utf-8', 'backslashreplace')}]",
    ]


def user_name(uid: int) -> str:
    """The host's name for a user, or the number where it has none."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
    return name if len(name) <= NAME_WIDTH else f"{name[: NAME_WIDTH - 1]}+"


def start_text(began: float, now: float) -> str:
    """`15:04` today, `Jan02` this year, else the year."""
    start, today = time.localtime(began), time.localtime(now)
    if start.tm_year != today.tm_year:
        return time.strftime("%Y", start)
    return time.strftime("%H:%M" if start.tm_yday == today.tm_yday else "%b%d", start)


def terminal_name(device: int) -> str:
    """`pts/0`, `tty1`, or `?` without a controlling terminal; `device` as the kernel encodes it."""
    if not device:
        return "?"
    major, minor = os.major(device), os.minor(device)
    if major in _PTS_MAJORS:
        return f"pts/{minor + (major - _PTS_MAJORS.start) * 256}"
    return f"tty{minor}" if major == _SERIAL_MAJOR else "?"


def cpu_time(seconds: int) -> str:
    """`[DD-]HH:MM:SS`."""
    days, rest = divmod(seconds, 86400)
    clock = f"{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}"
    return f"{days:02}-{clock}" if days else clock


def _boot_time() -> float:
    line = _read("/proc/stat").partition(b"\nbtime ")[2]
    return float(line.split(maxsplit=1)[0])


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        return stream.read()

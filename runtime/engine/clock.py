"""Wall-clock texts and identifiers; the only place of the engine that asks the system for either."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


def now_rfc3339() -> str:
    """The present in UTC with nanoseconds, as Docker prints it."""
    return rfc3339(time.time_ns())


def rfc3339(nanoseconds: int) -> str:
    """A time since the epoch in UTC with nanoseconds, as Docker prints it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def new_id() -> str:
    """64 hexadecimal digits, never 12 leading decimal ones: Docker refuses those since they look like a number."""
    while True:
        candidate = os.urandom(32).hex()
        if not candidate[:12].isdecimal():
            return candidate


def boot_id() -> str:
    """The kernel's id of this boot: a pid recorded under another one means nothing."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def seconds_of(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time; 0 for what is none, as an image from elsewhere may bring along."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()

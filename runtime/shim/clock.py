"""RFC 3339 times in UTC with nanoseconds, always nine digits so that they sort as text."""

from __future__ import annotations

import time

_second = -1
_text = ""


def now() -> str:
    """The wall clock, such as 2025-01-31T12:00:00.000000001Z."""
    global _second, _text
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    if seconds != _second:
        _second, _text = seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{_text}.{nanoseconds:09d}Z"

"""Read the points in time that `--since` and `--until` take: dates, Unix seconds, or a length of time ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from compose.errors import ComposeError, UsageError

UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d)")
_UNIX = re.compile(r"\d+(\.\d{1,9})?")
FRACTION_DIGITS = 9


def moment(text: str, now: float) -> str:
    """RFC 3339 in UTC without its Z, which sorts as text; empty for empty. Raises UsageError."""
    if not text:
        return ""
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text.lstrip("+-"):
        ago = sum(float(number) * UNITS[unit] for number, unit in parts)
        return _format(now + ago if text.startswith("-") else now - ago)
    if _UNIX.fullmatch(text):
        whole, _, fraction = text.partition(".")
        return _whole(int(whole)) + (f".{fraction}" if fraction else "")
    return _from_date(text)


def seconds(text: str, now: float) -> float:
    """Seconds since the epoch, for filters that compare with it. Raises ComposeError in Docker's words."""
    try:
        return datetime.fromisoformat(moment(text, now)[:26]).replace(tzinfo=UTC).timestamp()
    except (UsageError, ValueError):
        raise ComposeError(f'failed to parse value as time or duration: "{text}"') from None


def _from_date(text: str) -> str:
    head, dot, rest = text.partition(".")
    fraction = rest[: len(rest) - len(rest.lstrip("0123456789"))] if dot else ""
    try:
        parsed = datetime.fromisoformat(head + rest[len(fraction) :])
    except ValueError:
        raise UsageError(
            f'invalid value for "since" or "until": failed to parse value as time or duration: "{text}"'
        ) from None
    # a time without a zone is the caller's
    seconds = int(parsed.astimezone(UTC).timestamp())
    return _whole(seconds) + (f".{fraction}" if fraction else "")


def _format(seconds: float) -> str:
    whole = int(seconds // 1)
    nanos = int((seconds - whole) * 10**FRACTION_DIGITS)
    return f"{_whole(whole)}.{nanos:0{FRACTION_DIGITS}d}"


def _whole(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")

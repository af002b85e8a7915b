"""Say durations, sizes and container states in Docker's words; clock and zone are parameters."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runtime.wire.containers import ContainerState

SIZE_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
ZERO_YEAR = "0001-"
"""How Docker writes a time that never was."""


def duration(seconds: float) -> str:
    """A length of time: `5 seconds`, `About a minute`, `3 weeks`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{whole // 3600 // 24 // 365} years"


def size(count: float, precision: int = 4) -> str:
    """Bytes in decimal units with that many significant digits: `21.5MB`."""
    position = 0
    while count >= 1000 and position < len(SIZE_UNITS) - 1:
        count /= 1000
        position += 1
    return f"{count:.{precision}g}{SIZE_UNITS[position]}"


def parse_time(text: str) -> float | None:
    """Seconds since the epoch of an RFC 3339 time with up to nine digits; None if there is none."""
    if not text or text.startswith(ZERO_YEAR):
        return None
    body = text.removesuffix("Z")
    zone = "+00:00" if body != text else ""
    head, dot, fraction = body.partition(".")
    if dot:
        digits = len(fraction) - len(fraction.lstrip("0123456789"))
        zone = zone or fraction[digits:]
        fraction = fraction[:digits]
    try:
        moment = datetime.fromisoformat(head + zone)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0)


def go_time(seconds: float, zone: tzinfo | None = None) -> str:
    """Whole seconds as Go prints a time: `2026-01-02 15:04:05 +0000 UTC`; `zone` None is the local one."""
    moment = datetime.fromtimestamp(int(seconds), UTC).astimezone(zone)
    return moment.strftime("%Y-%m-%d %H:%M:%S %z ") + (moment.tzname() or "")


def status(state: ContainerState, now: float) -> str:
    """A container's STATUS: `Up 3 seconds (healthy)`, `Exited (0) 2 minutes ago`, `Created`."""
    name = state.get("Status", "")
    started = parse_time(state.get("StartedAt", ""))
    finished = parse_time(state.get("FinishedAt", ""))
    code = state.get("ExitCode", 0)
    if name == "restarting":
        return f"Restarting ({code}) {_since(finished, now)} ago"
    if name == "paused":
        return f"Up {_since(started, now)} (Paused)"
    if name == "running":
        health = state.get("Health", {}).get("Status", "none")
        if health in ("none", ""):
            return f"Up {_since(started, now)}"
        return f"Up {_since(started, now)} ({'health: starting' if health == 'starting' else health})"
    if name == "removing":
        return "Removal In Progress"
    if name == "dead":
        return "Dead"
    if started is None and name != "exited":
        return "Created"
    return f"Exited ({code}) {_since(finished, now)} ago"


def _since(moment: float | None, now: float) -> str:
    return duration(now - moment if moment is not None else 0)

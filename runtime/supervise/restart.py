"""Whether and when a container that ended starts again: Docker's restart policies as pure decisions.

Time comes in as a run's length, measured by a clock that never jumps: a wall clock set back must not stop restarts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST_DELAY: Final = 0.1
MAX_DELAY: Final = 60.0
LONG_RUN: Final = 10.0
"""Seconds of uptime after which a container counts as having been well, so that the delay begins anew."""


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """`name` is empty, no, always, unless-stopped or on-failure; a count of 0 is no limit."""

    name: str
    maximum_retry_count: int = 0

    @classmethod
    def of(cls, said: Mapping[str, Any] | None) -> RestartPolicy:
        """The policy in Docker's words, `HostConfig.RestartPolicy`."""
        policy = said or {}
        return cls(name=policy.get("Name") or "no", maximum_retry_count=policy.get("MaximumRetryCount", 0))


@dataclass(kw_only=True)
class RestartHistory:
    """The back-off of one container; `decide` moves it on, a manual start begins a new one."""

    delay: float = 0.0
    """Seconds waited before the last restart, 0 before the first."""


@dataclass(frozen=True, kw_only=True)
class ExitInfo:
    """How a run ended: `uptime` in seconds, `restart_count` of restarts by policy so far."""

    exit_code: int
    uptime: float
    restart_count: int
    manually_stopped: bool


@dataclass(frozen=True)
class Restart:
    """Start again after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Stay:
    """Remain exited, for a reason in words."""

    reason: str


def decide(policy: RestartPolicy, history: RestartHistory, exit: ExitInfo) -> Restart | Stay:
    """What follows from an exit; `history` takes up the new delay when the answer is a restart."""
    if exit.manually_stopped:
        return Stay("stopped by request")
    if policy.name in ("", "no"):
        return Stay("no restart policy")
    if policy.name == "on-failure":
        if exit.exit_code == 0:
            return Stay("exited with 0")
        if policy.maximum_retry_count and exit.restart_count >= policy.maximum_retry_count:
            return Stay(f"restarted {exit.restart_count} times, the limit of its policy")
    history.delay = _next_delay(history.delay, exit.uptime)
    return Restart(history.delay)


def at_boot(
    policy: RestartPolicy,
    *,
    manually_stopped: bool,
    was_running: bool,
    exit_code: int,
    restart_count: int = 0,
    booted: bool = True,
) -> bool:
    """Whether an engine that starts brings the container back; `was_running`: the machine went down under it.

    `always` means always, also after a manual stop, once the machine was `booted` since; an engine that comes and goes
    with the commands leaves alone what was stopped by hand. A manually stopped `on-failure` stays, whatever code the
    stop left behind (Docker starts it when that is not 0).
    """
    if policy.name in ("", "no"):
        return False
    if manually_stopped:
        return policy.name == "always" and booted
    if policy.name != "on-failure" or was_running:
        return True
    exhausted = 0 < policy.maximum_retry_count <= restart_count
    return exit_code != 0 and not exhausted


def _next_delay(previous: float, uptime: float) -> float:
    if previous == 0 or uptime >= LONG_RUN:
        return FIRST_DELAY
    return min(previous * 2, MAX_DELAY)

"""Health of a container as a state machine: when to probe next and what a result makes of the state.

Pure. `started` and `now` are seconds of one monotonic clock. Docker's rules: the interval runs from the end of a probe
to the start of the next, the first probe waits one interval too; failures that begin inside the start period do not
count while the container never was healthy; a success ends that grace at once; every start begins with a new state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from runtime.errors import InvalidParameter

if TYPE_CHECKING:
    from runtime.wire.containers import Health, HealthConfig, HealthResult

MAX_LOG: Final = 5
MAX_OUTPUT: Final = 4096
"""Bytes of a probe's output that are kept."""
SHELL: Final = ("/bin/sh", "-c")
TIMED_OUT: Final = -1
"""Exit code of a probe that was ended by its time limit, or that could not be run."""
_SECOND: Final = 1_000_000_000
_SHORTEST: Final = 1_000_000
"""Nanoseconds; Docker's bound, below which probes would only run after each other."""

Status = Literal["starting", "healthy", "unhealthy"]


@dataclass(frozen=True, kw_only=True)
class HealthPolicy:
    """A probe and its times in seconds; `command` is what is executed."""

    command: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    start_interval: float = 5.0
    retries: int = 3


@dataclass(frozen=True)
class HealthState:
    """What is known; the log holds the last five results, the oldest first."""

    status: Status = "starting"
    failing_streak: int = 0
    log: tuple[HealthResult, ...] = ()

    def to_wire(self) -> Health:
        """In Docker's inspect form."""
        return {"Status": self.status, "FailingStreak": self.failing_streak, "Log": list(self.log)}


def policy_of(config: HealthConfig | None) -> HealthPolicy | None:
    """The policy of a container's `Healthcheck`; None where there is no check or its test is NONE.

    Zero means the default. Raises InvalidParameter for a test of an unknown form, an empty command or a negative time.
    """
    test = (config or {}).get("Test") or []
    if not config or not test or test[0] == "NONE":
        return None
    if test[0] not in ("CMD", "CMD-SHELL"):
        raise InvalidParameter(f"health check: unknown type {test[0]!r}, expected CMD, CMD-SHELL or NONE")
    if len(test) < 2:
        raise InvalidParameter(f"health check: {test[0]} without a command")
    command = tuple(test[1:]) if test[0] == "CMD" else (*SHELL, *test[1:])
    retries = config.get("Retries") or 0
    if retries < 0:
        raise InvalidParameter("health check: retries cannot be negative")
    interval = _seconds("interval", config.get("Interval"), HealthPolicy.interval)
    return HealthPolicy(
        command=command,
        interval=interval,
        timeout=_seconds("timeout", config.get("Timeout"), HealthPolicy.timeout),
        start_period=_seconds("start period", config.get("StartPeriod"), HealthPolicy.start_period),
        # Docker's default of 5 s makes a check with a shorter interval slower while it starts than ever after.
        start_interval=_seconds(
            "start interval", config.get("StartInterval"), min(HealthPolicy.start_interval, interval)
        ),
        retries=retries or HealthPolicy.retries,
    )


def next_delay(policy: HealthPolicy, state: HealthState, *, started: float, now: float) -> float:
    """Seconds from `now` (the start, or the end of a probe) to the next probe.

    In the start period a container that is still starting is probed each start interval, the last time at its end.
    """
    remaining = policy.start_period - (now - started)
    if remaining <= 0 or state.status != "starting":
        return policy.interval
    return min(policy.start_interval, remaining)


def on_result(
    policy: HealthPolicy, state: HealthState, result: HealthResult, *, started: float, probed: float
) -> HealthState:
    """The state after a probe that began at `probed`."""
    log = (*state.log, result)[-MAX_LOG:]
    if result["ExitCode"] == 0:
        return HealthState("healthy", 0, log)
    if state.status == "starting" and probed - started < policy.start_period:
        return replace(state, log=log)
    streak = state.failing_streak + 1
    return HealthState("unhealthy" if streak >= policy.retries else state.status, streak, log)


def make_result(
    policy: HealthPolicy,
    *,
    start: str,
    end: str,
    exit_code: int,
    output: str,
    truncated: bool = False,
    timed_out: bool = False,
) -> HealthResult:
    """A log entry; times in RFC 3339. Output beyond 4096 bytes is cut and marked with three dots."""
    text = _cut(output, truncated=truncated)
    if not timed_out:
        return {"Start": start, "End": end, "ExitCode": exit_code, "Output": text}
    message = f"Health check exceeded timeout ({format_seconds(policy.timeout)})"
    return {"Start": start, "End": end, "ExitCode": TIMED_OUT, "Output": f"{message}: {text}" if text else message}


def format_seconds(seconds: float) -> str:
    """A duration as Docker prints it: `1s`, `1m30s`, `1h0m0s`, `1.5s`, `200ms`."""
    if 0 < seconds < 1:
        return f"{seconds * 1000:.6g}ms" if seconds >= 0.001 else f"{seconds * 1e6:.6g}µs"
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    text = f"{round(rest, 9):.15g}s"
    if hours:
        return f"{int(hours)}h{int(minutes)}m{text}"
    return f"{int(minutes)}m{text}" if minutes else text


def _cut(output: str, *, truncated: bool) -> str:
    data = output.encode("utf-8", "surrogateescape")
    text = data[:MAX_OUTPUT].decode("utf-8", "replace")
    return f"{text}..." if truncated or len(data) > MAX_OUTPUT else text


def _seconds(name: str, nanoseconds: int | None, default: float) -> float:
    if not nanoseconds:
        return default
    if nanoseconds < 0:
        raise InvalidParameter(f"health check: {name} cannot be negative")
    if nanoseconds < _SHORTEST:
        raise InvalidParameter(f"health check: {name} cannot be less than 1ms")
    return nanoseconds / _SECOND

"""Health checks as a state machine: Docker's rules in tables, with made-up time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import InvalidParameter
from runtime.supervise.health import (
    HealthPolicy,
    HealthState,
    format_seconds,
    make_result,
    next_delay,
    on_result,
    policy_of,
)

if TYPE_CHECKING:
    from runtime.wire.containers import HealthResult

SECOND = 1_000_000_000
DEFAULT = HealthPolicy(command=("true",))


def result(code: int, output: str = "") -> HealthResult:
    return {"Start": "s", "End": "e", "ExitCode": code, "Output": output}


def feed(policy: HealthPolicy, codes: list[tuple[float, int]], started: float = 100.0) -> list[tuple[str, int]]:
    """States after probes that began at these seconds after the start."""
    state, seen = HealthState(), []
    for at, code in codes:
        state = on_result(policy, state, result(code), started=started, probed=started + at)
        seen.append((state.status, state.failing_streak))
    return seen


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (None, None),
        ({}, None),
        ({"Test": []}, None),
        ({"Test": ["NONE"], "Interval": SECOND}, None),
        ({"Test": ["CMD", "a", "b"]}, HealthPolicy(command=("a", "b"))),
        ({"Test": ["CMD-SHELL", "a || b"]}, HealthPolicy(command=("/bin/sh", "-c", "a || b"))),
        (
            {
                "Test": ["CMD", "a"],
                "Interval": 2 * SECOND,
                "Timeout": SECOND // 2,
                "StartPeriod": 60 * SECOND,
                "StartInterval": 3 * SECOND,
                "Retries": 5,
            },
            HealthPolicy(command=("a",), interval=2, timeout=0.5, start_period=60, start_interval=3, retries=5),
        ),
        (
            {"Test": ["CMD", "a"], "Interval": 0, "Timeout": 0, "StartPeriod": 0, "StartInterval": 0, "Retries": 0},
            HealthPolicy(command=("a",), interval=30, timeout=30, start_period=0, start_interval=5, retries=3),
        ),
        ({"Test": ["CMD", "a"], "Interval": SECOND}, HealthPolicy(command=("a",), interval=1, start_interval=1)),
    ],
)
def test_configuration_becomes_a_policy(config: Any, expected: HealthPolicy | None) -> None:
    assert policy_of(config) == expected


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"Test": ["cmd", "a"]}, "health check: unknown type 'cmd'"),
        ({"Test": ["CMD"]}, "health check: CMD without a command"),
        ({"Test": ["CMD", "a"], "Interval": -1}, "interval cannot be negative"),
        ({"Test": ["CMD", "a"], "Interval": 100_000}, "interval cannot be less than 1ms"),
        ({"Test": ["CMD", "a"], "Retries": -1}, "retries cannot be negative"),
    ],
)
def test_impossible_configuration_is_refused(config: Any, message: str) -> None:
    with pytest.raises(InvalidParameter, match=message):
        policy_of(config)


@pytest.mark.parametrize(
    ("policy", "state", "elapsed", "delay"),
    [
        (DEFAULT, HealthState(), 0, 30),
        (DEFAULT, HealthState("healthy"), 1000, 30),
        (DEFAULT, HealthState("unhealthy", 3), 1000, 30),
        (HealthPolicy(command=("a",), start_period=60), HealthState(), 0, 5),
        (HealthPolicy(command=("a",), start_period=60), HealthState(), 50, 5),
        (HealthPolicy(command=("a",), start_period=60), HealthState(), 58, 2),
        (HealthPolicy(command=("a",), start_period=60), HealthState(), 60, 30),
        (HealthPolicy(command=("a",), start_period=60), HealthState(), 61, 30),
        (HealthPolicy(command=("a",), start_period=60), HealthState("healthy"), 10, 30),
        (HealthPolicy(command=("a",), start_period=2), HealthState(), 0, 2),
        (HealthPolicy(command=("a",), interval=0.2, start_period=2, start_interval=0.1), HealthState(), 1, 0.1),
    ],
)
def test_next_probe_comes_after_an_interval(
    policy: HealthPolicy, state: HealthState, elapsed: float, delay: float
) -> None:
    assert next_delay(policy, state, started=500.0, now=500.0 + elapsed) == pytest.approx(delay)


def test_three_failures_in_a_row_make_it_unhealthy_and_one_success_well_again() -> None:
    assert feed(DEFAULT, [(30, 1), (60, 2), (90, 127), (120, 1), (150, 0), (180, 1)]) == [
        ("starting", 1),
        ("starting", 2),
        ("unhealthy", 3),
        ("unhealthy", 4),
        ("healthy", 0),
        ("healthy", 1),
    ]


def test_failures_in_the_start_period_do_not_count_while_it_starts() -> None:
    policy = HealthPolicy(command=("a",), start_period=10, retries=1)
    assert feed(policy, [(0, 1), (5, 1), (9.9, 1), (10, 1)]) == [
        ("starting", 0),
        ("starting", 0),
        ("starting", 0),
        ("unhealthy", 1),
    ]


def test_a_success_ends_the_grace_of_the_start_period() -> None:
    policy = HealthPolicy(command=("a",), start_period=10, retries=2)
    assert feed(policy, [(1, 1), (2, 0), (3, 1), (4, 1)]) == [
        ("starting", 0),
        ("healthy", 0),
        ("healthy", 1),
        ("unhealthy", 2),
    ]


def test_a_probe_that_began_inside_the_start_period_and_ended_after_it_does_not_count() -> None:
    policy = HealthPolicy(command=("a",), start_period=10, retries=1)
    state = on_result(policy, HealthState(), result(1), started=0.0, probed=9.0)
    assert (state.status, state.failing_streak) == ("starting", 0)


def test_timed_out_probe_counts_as_a_failure() -> None:
    assert feed(HealthPolicy(command=("a",), retries=1), [(30, -1)]) == [("unhealthy", 1)]


def test_the_log_keeps_the_last_five_results() -> None:
    state = HealthState()
    for number in range(8):
        state = on_result(DEFAULT, state, result(0, str(number)), started=0, probed=number)
    assert [entry["Output"] for entry in state.log] == ["3", "4", "5", "6", "7"]
    assert state.to_wire() == {"Status": "healthy", "FailingStreak": 0, "Log": list(state.log)}


@pytest.mark.parametrize(
    ("output", "truncated", "expected"),
    [
        ("", False, ""),
        ("ok\n", False, "ok\n"),
        ("x" * 4096, False, "x" * 4096),
        ("x" * 4096, True, "x" * 4096 + "..."),
        ("x" * 4097, False, "x" * 4096 + "..."),
        ("x" * 4095 + "é", False, "x" * 4095 + "\ufffd..."),
    ],
)
def test_output_is_cut_at_4096_bytes(output: str, truncated: bool, expected: str) -> None:
    entry = make_result(DEFAULT, start="s", end="e", exit_code=0, output=output, truncated=truncated)
    assert entry == {"Start": "s", "End": "e", "ExitCode": 0, "Output": expected}


@pytest.mark.parametrize(
    ("timeout", "output", "expected"),
    [
        (1.0, "", "Health check exceeded timeout (1s)"),
        (1.0, "so far", "Health check exceeded timeout (1s): so far"),
        (30.0, "", "Health check exceeded timeout (30s)"),
        (0.2, "", "Health check exceeded timeout (200ms)"),
    ],
)
def test_time_out_is_told_in_the_output(timeout: float, output: str, expected: str) -> None:
    policy = HealthPolicy(command=("a",), timeout=timeout)
    entry = make_result(policy, start="s", end="e", exit_code=137, output=output, timed_out=True)
    assert (entry["ExitCode"], entry["Output"]) == (-1, expected)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0005, "500µs"),
        (0.2, "200ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (59.25, "59.25s"),
        (60, "1m0s"),
        (90, "1m30s"),
        (3600, "1h0m0s"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_durations_read_as_docker_prints_them(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text

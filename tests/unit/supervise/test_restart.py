"""Restart policies: what follows from an exit, and what an engine that starts brings back."""

from __future__ import annotations

import pytest

from runtime.supervise.restart import ExitInfo, Restart, RestartHistory, RestartPolicy, Stay, at_boot, decide


def ended(code: int = 1, *, uptime: float = 0.0, count: int = 0, manual: bool = False) -> ExitInfo:
    return ExitInfo(exit_code=code, uptime=uptime, restart_count=count, manually_stopped=manual)


@pytest.mark.parametrize(
    ("name", "limit", "exit", "restarts"),
    [
        ("", 0, ended(1), False),
        ("no", 0, ended(1), False),
        ("always", 0, ended(0), True),
        ("always", 0, ended(1), True),
        ("always", 0, ended(137, manual=True), False),
        ("unless-stopped", 0, ended(0), True),
        ("unless-stopped", 0, ended(143, manual=True), False),
        ("on-failure", 0, ended(0), False),
        ("on-failure", 0, ended(1), True),
        ("on-failure", 0, ended(1, count=1000), True),
        ("on-failure", 3, ended(1, count=0), True),
        ("on-failure", 3, ended(1, count=2), True),
        ("on-failure", 3, ended(1, count=3), False),
        ("on-failure", 3, ended(1, count=4), False),
        ("on-failure", 3, ended(137, manual=True), False),
    ],
)
def test_policy_decides_over_an_exit(name: str, limit: int, exit: ExitInfo, restarts: bool) -> None:
    policy = RestartPolicy(name=name, maximum_retry_count=limit)
    assert isinstance(decide(policy, RestartHistory(), exit), Restart if restarts else Stay)


def test_delay_doubles_from_100_ms_to_a_minute() -> None:
    history, policy = RestartHistory(), RestartPolicy(name="always")
    delays = []
    for count in range(12):
        decision = decide(policy, history, ended(1, uptime=0.2, count=count))
        assert isinstance(decision, Restart)
        delays.append(decision.delay)
    assert delays == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0])


@pytest.mark.parametrize(("uptime", "delay"), [(9.99, 1.6), (10.0, 0.1), (3600.0, 0.1)])
def test_a_run_of_ten_seconds_begins_the_delay_anew(uptime: float, delay: float) -> None:
    decision = decide(RestartPolicy(name="always"), RestartHistory(delay=0.8), ended(1, uptime=uptime))
    assert decision == Restart(pytest.approx(delay))


def test_a_decision_to_stay_leaves_the_history_alone() -> None:
    history = RestartHistory(delay=0.8)
    decide(RestartPolicy(name="always"), history, ended(1, manual=True))
    assert history.delay == 0.8


@pytest.mark.parametrize(
    ("policy", "exit", "reason"),
    [
        (RestartPolicy(name="no"), ended(1), "no restart policy"),
        (RestartPolicy(name="always"), ended(1, manual=True), "stopped by request"),
        (RestartPolicy(name="on-failure"), ended(0), "exited with 0"),
        (
            RestartPolicy(name="on-failure", maximum_retry_count=2),
            ended(1, count=2),
            "restarted 2 times, the limit of its policy",
        ),
    ],
)
def test_staying_has_a_reason_in_words(policy: RestartPolicy, exit: ExitInfo, reason: str) -> None:
    assert decide(policy, RestartHistory(), exit) == Stay(reason)


@pytest.mark.parametrize(
    ("name", "stopped", "running", "code", "starts"),
    [
        ("no", False, True, 0, False),
        ("", False, True, 1, False),
        ("always", False, True, 0, True),
        ("always", False, False, 0, True),
        ("always", True, False, 137, True),
        ("unless-stopped", False, True, 0, True),
        ("unless-stopped", False, False, 1, True),
        ("unless-stopped", True, False, 137, False),
        ("unless-stopped", True, True, 137, False),
        ("on-failure", False, True, 0, True),
        ("on-failure", False, False, 1, True),
        ("on-failure", False, False, 0, False),
        ("on-failure", True, False, 137, False),
    ],
)
def test_an_engine_that_starts_brings_back_what_the_policy_says(
    name: str, stopped: bool, running: bool, code: int, starts: bool
) -> None:
    policy = RestartPolicy(name=name)
    assert at_boot(policy, manually_stopped=stopped, was_running=running, exit_code=code) is starts


@pytest.mark.parametrize(
    ("name", "stopped", "count", "starts"),
    [
        ("always", True, 0, False),
        ("always", False, 0, True),
        ("unless-stopped", True, 0, False),
        ("unless-stopped", False, 0, True),
        ("on-failure", False, 2, True),
        ("on-failure", False, 3, False),
    ],
)
def test_an_engine_that_comes_back_under_the_same_boot_leaves_alone_what_was_stopped_or_given_up(
    name: str, stopped: bool, count: int, starts: bool
) -> None:
    policy = RestartPolicy(name=name, maximum_retry_count=3)
    decision = at_boot(
        policy, manually_stopped=stopped, was_running=False, exit_code=1, restart_count=count, booted=False
    )
    assert decision is starts

"""Docker's words for durations, sizes and states."""

from __future__ import annotations

from datetime import UTC

import pytest

from compose.cli.render import humanise

HOUR = 3600
DAY = 24 * HOUR


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.4, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (3599, "59 minutes"),
        (HOUR, "About an hour"),
        (1.4 * HOUR, "About an hour"),
        (1.6 * HOUR, "2 hours"),
        (47 * HOUR, "47 hours"),
        (2 * DAY, "2 days"),
        (13 * DAY, "13 days"),
        (14 * DAY, "2 weeks"),
        (60 * DAY, "2 months"),
        (729 * DAY, "24 months"),
        (731 * DAY, "2 years"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert humanise.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "precision", "text"),
    [(0, 3, "0B"), (999, 3, "999B"), (1000, 3, "1kB"), (21_500_000, 3, "21.5MB"), (1_234_567, 4, "1.235MB")],
)
def test_sizes(count: int, precision: int, text: str) -> None:
    assert humanise.size(count, precision) == text


NOW = 1_767_323_045.0  # 2026-01-02T03:04:05Z


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"Status": "running", "StartedAt": "2026-01-02T03:04:02Z"}, "Up 3 seconds"),
        (
            {"Status": "running", "StartedAt": "2026-01-02T03:04:02.1Z", "Health": {"Status": "healthy"}},
            "Up 2 seconds (healthy)",
        ),
        (
            {"Status": "running", "StartedAt": "2026-01-02T03:04:04Z", "Health": {"Status": "starting"}},
            "Up 1 second (health: starting)",
        ),
        ({"Status": "running", "StartedAt": "2026-01-02T03:04:02Z", "Health": {"Status": "none"}}, "Up 3 seconds"),
        ({"Status": "paused", "StartedAt": "2026-01-02T03:03:02Z"}, "Up About a minute (Paused)"),
        ({"Status": "created", "StartedAt": "0001-01-01T00:00:00Z"}, "Created"),
        (
            {
                "Status": "exited",
                "ExitCode": 137,
                "StartedAt": "2026-01-02T03:00:00Z",
                "FinishedAt": "2026-01-02T03:02:00Z",
            },
            "Exited (137) 2 minutes ago",
        ),
        (
            {"Status": "restarting", "ExitCode": 1, "FinishedAt": "2026-01-02T03:04:04.9Z"},
            "Restarting (1) Less than a second ago",
        ),
        ({"Status": "dead"}, "Dead"),
        ({"Status": "removing"}, "Removal In Progress"),
    ],
)
def test_states(state: dict, text: str) -> None:
    assert humanise.status(state, NOW) == text


def test_times_are_read_with_nine_digits_and_zones() -> None:
    assert humanise.parse_time("2026-01-02T03:04:05.25Z") == NOW + 0.25
    assert humanise.parse_time("2026-01-02T04:04:05.250000000+01:00") == NOW + 0.25
    assert humanise.parse_time("0001-01-01T00:00:00Z") is None
    assert humanise.parse_time("") is None
    assert humanise.parse_time("soon") is None


def test_go_prints_zone_offset_and_name() -> None:
    assert humanise.go_time(NOW, UTC) == "2026-01-02 03:04:05 +0000 UTC"

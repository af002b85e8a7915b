"""Points in time of --since and --until."""

from __future__ import annotations

import pytest

from compose.cli.moments import moment
from compose.errors import UsageError

NOW = 1_767_323_045.25  # 2026-01-02T03:04:05.25Z


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", ""),
        ("5s", "2026-01-02T03:04:00.250000000"),
        ("1m30s", "2026-01-02T03:02:35.250000000"),
        ("1.5h", "2026-01-02T01:34:05.250000000"),
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456789"),
        ("2026-01-02T04:04:05.5+01:00", "2026-01-02T03:04:05.5"),
        ("1767323045", "2026-01-02T03:04:05"),
        ("1767323045.000000001", "2026-01-02T03:04:05.000000001"),
    ],
)
def test_forms(text: str, found: str) -> None:
    assert moment(text, NOW) == found


@pytest.mark.parametrize("text", ["soon", "5 minutes", "12:00", "-"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        moment(text, NOW)

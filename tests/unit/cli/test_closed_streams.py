"""Run the command with standard streams its caller closed: no traceback, whatever is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_the_null_device(closed: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", f'exec "$0" -m compose version {closed}', sys.executable],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")

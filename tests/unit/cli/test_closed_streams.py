"""Run the command with standard streams that its caller closed, or that take nothing: no traceback, no silence."""

from __future__ import annotations

import os
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


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_cannot_be_written_is_an_error(unbuffered: str) -> None:
    ran = subprocess.run(
        ["sh", "-c", 'exec "$0" -m compose version >/dev/full', sys.executable],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert (ran.returncode, ran.stderr) == (1, "writing standard output: no space left on device\n")


def test_ctrl_c_before_the_command_has_begun_is_no_traceback() -> None:
    """A module that is imported on the way stands for the moment in which the signal comes."""
    program = (
        "import sys, compose.__main__ as program\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'compose.cli.console':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "sys.argv[1:] = ['version']\n"
        "sys.exit(program.main())"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "PYCOMPOSE_WARM": "0"},
    )
    assert (ran.returncode, ran.stderr) == (130, "")

"""Ctrl-C at a moment when Python can raise nothing still ends the command."""

from __future__ import annotations

import subprocess
import sys

from tests.kit.stack import REPOSITORY

PROGRAM = """
import signal, sys, time
from compose import __main__ as program
from compose.cli import app

class Late:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

def command(arguments, console):
    Late()
    time.sleep(20)
    return 0

app.main = command
sys.exit(program.cold())
"""


def test_an_interrupt_in_a_destructor_is_raised_again() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (130, "")

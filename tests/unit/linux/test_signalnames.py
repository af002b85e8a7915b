from __future__ import annotations

import signal

import pytest

from runtime.errors import InvalidParameter
from runtime.linux import signalnames


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGTERM", 15),
        ("TERM", 15),
        ("sigusr1", signal.SIGUSR1),
        ("9", 9),
        ("0", 0),
        ("64", 64),
        ("RTMIN", signal.SIGRTMIN),
        ("SIGRTMIN+3", signal.SIGRTMIN + 3),
        ("rtmax-1", signal.SIGRTMAX - 1),
    ],
)
def test_signals_are_known_by_number_and_name(name: str, number: int) -> None:
    assert signalnames.number(name) == number


@pytest.mark.parametrize("name", ["", "SIG", "BLOCK", "SIG_DFL", "65", "-1", "1e1", "RTMIN+99", "RTMAX-40", "٣", "9 "])
def test_what_is_no_signal_is_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid signal"):
        signalnames.number(name)

"""Where the time of starts goes: seconds spent in each step since the engine began, for whoever asks for its status.

Steps of containers that start together overlap, and each waits its turn for the two or three processes that do the work:
a sum is longer than the clock was.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterator


class StepTotal(TypedDict):
    """A step's part of all that was done."""

    Count: int
    Seconds: float


class Steps:
    """Counts and durations by step, in the order in which the steps were first taken."""

    def __init__(self) -> None:
        self.totals: dict[str, StepTotal] = {}

    @contextmanager
    def measure(self, step: str) -> Iterator[None]:
        """Add what is done within to `step`, also when it fails."""
        began = time.perf_counter()
        try:
            yield
        finally:
            total = self.totals.setdefault(step, {"Count": 0, "Seconds": 0.0})
            total["Count"] += 1
            total["Seconds"] += time.perf_counter() - began

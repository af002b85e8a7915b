"""What the doctor reports: one finding for each need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["ok", "note", "missing"]
"""`note`: works, but worse or under a condition; `missing`: containers cannot run."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A need, what was found, and what to do about it."""

    need: str
    verdict: Verdict
    found: str
    advice: str = ""
    packages: tuple[str, ...] = ()
    """Debian's names of what would provide it."""


def must(need: str, problem: str | None, found: str, advice: str = "", *packages: str) -> Finding:
    """A finding without which nothing runs; `problem` is what went wrong, None if nothing did."""
    return _finding(need, "missing", problem, found, advice, packages)


def should(need: str, problem: str | None, found: str, advice: str = "", *packages: str) -> Finding:
    """A finding without which something is lacking."""
    return _finding(need, "note", problem, found, advice, packages)


def _finding(
    need: str, verdict: Verdict, problem: str | None, found: str, advice: str, packages: tuple[str, ...]
) -> Finding:
    if problem is None:
        return Finding(need=need, verdict="ok", found=found)
    return Finding(need=need, verdict=verdict, found=problem, advice=advice, packages=packages)

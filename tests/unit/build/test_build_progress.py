"""How a build's events are told: at once, but cached steps together."""

from __future__ import annotations

from typing import Any

from runtime.build.progress import Progress


def recorded() -> tuple[Progress, list[list[str]]]:
    writes: list[list[str]] = []

    def emit(events: list[dict[str, Any]]) -> None:
        writes.append([f"{event['vertex']} {event['event']}" for event in events])

    return Progress(emit), writes


def test_what_is_not_quiet_is_told_at_once() -> None:
    progress, writes = recorded()
    vertex = progress.vertex("a")
    vertex.status("half")
    vertex.done()
    vertex.done()
    assert writes == [["1 start"], ["1 status"], ["1 done"]]


def test_cached_steps_are_told_together_before_what_follows() -> None:
    progress, writes = recorded()
    for name in ("a", "b"):
        progress.vertex(name, quiet=True).cached()
    assert writes == []
    progress.vertex("c")
    assert writes == [["1 start", "1 cached", "2 start", "2 cached", "3 start"]]


def test_a_step_that_is_made_is_told_of_before_it_begins() -> None:
    progress, writes = recorded()
    progress.vertex("a", quiet=True)
    progress.flush()
    progress.flush()
    assert writes == [["1 start"]]

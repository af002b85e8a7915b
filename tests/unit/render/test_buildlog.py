"""How builds are shown: plain lines, in place on a terminal, raw."""

from __future__ import annotations

import io
import json
from typing import Any

from compose.cli.render.buildlog import PlainBuild, TtyBuild, renderer

EVENTS: list[dict[str, Any]] = [
    {"vertex": 1, "event": "start", "seconds": 0.0, "name": "[internal] load"},
    {"vertex": 1, "event": "status", "seconds": 0.0, "text": "transferring dockerfile: 84B done"},
    {"vertex": 1, "event": "done", "seconds": 0.02},
    {"vertex": 2, "event": "start", "seconds": 0.0, "name": "[a 1/2] RUN make"},
    {"vertex": 3, "event": "start", "seconds": 0.0, "name": "[b 1/1] RUN test"},
    {"vertex": 2, "event": "log", "seconds": 0.5, "text": "one\ntw"},
    {"vertex": 2, "event": "log", "seconds": 0.75, "text": "o"},
    {"vertex": 3, "event": "cached", "seconds": 0.0},
    {"vertex": 2, "event": "failed", "seconds": 1.0, "text": "process failed"},
    {"vertex": 0, "event": "warning", "seconds": 0.0, "rule": "Rule", "text": "mind this", "line": 3},
]


def test_plain_lines_are_grouped_by_step_with_times() -> None:
    out = io.StringIO()
    shown = PlainBuild(out)
    for event in EVENTS:
        shown.event(event)
    shown.stop(failed=True)
    assert out.getvalue() == (
        "#1 [internal] load\n#1 transferring dockerfile: 84B done\n#1 DONE 0.0s\n\n"
        "#2 [a 1/2] RUN make\n#2 ...\n\n"
        "#3 [b 1/1] RUN test\n#3 ...\n\n"
        "#2 [a 1/2] RUN make\n#2 0.500 one\n#2 ...\n\n"
        "#3 [b 1/1] RUN test\n#3 CACHED\n\n"
        "#2 [a 1/2] RUN make\n#2 1.000 two\n#2 ERROR: process failed\n"
        "\n 1 warning found:\n - Rule: mind this (line 3)\n"
    )


def test_a_terminal_shows_steps_in_place_and_the_output_of_what_runs() -> None:
    out = io.StringIO()
    shown = TtyBuild(out, lambda: (24, 60), colour=False, clock=lambda: 10.0, tick=False)
    for event in EVENTS[:7]:
        shown.event(event)
    shown.draw()
    text = out.getvalue()
    assert "[+] Building 0.0s (1/3)" in text
    assert " => => transferring dockerfile: 84B done" in text
    assert " => => # one" in text
    for event in EVENTS[7:]:
        shown.event(event)
    shown.stop(failed=True)
    last = out.getvalue()[len(text) :]
    assert "[+] Building 0.0s (3/3) ERROR" in last
    assert " => CACHED [b 1/1] RUN test" in last
    assert " => ERROR [a 1/2] RUN make" in last
    assert all(len(line) <= 70 for line in last.replace("\x1b[2K", "").splitlines())


def test_raw_events_are_one_json_object_a_line() -> None:
    out = io.StringIO()
    shown = renderer("rawjson", out, lambda: (24, 80), colour=False)
    shown.event(EVENTS[0])
    assert json.loads(out.getvalue()) == EVENTS[0]


def test_auto_is_plain_where_there_is_no_terminal_and_quiet_says_nothing() -> None:
    out = io.StringIO()
    assert isinstance(renderer("auto", out, lambda: (24, 80), colour=False), PlainBuild)
    quiet = renderer("quiet", out, lambda: (24, 80), colour=False)
    quiet.event(EVENTS[0])
    quiet.stop(failed=False)
    assert out.getvalue() == ""

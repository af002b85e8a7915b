"""Progress lines: what is said, and how it is drawn."""

from __future__ import annotations

import io
import json
import re

from compose.cli.render import progress, verbs
from compose.cli.render.verbs import DONE, ERROR, WORKING, Line, Narrator

WEB = "container app-web-1"


def operation(kind: str, resource: str = WEB, cause: str = "missing", **args) -> dict:
    return {"id": 1, "kind": kind, "resource": resource, "cause": cause, "depends": [], "args": args}


def tell(narrator: Narrator, op: dict, status: str, **event) -> str:
    line = narrator.line(op, {"op": 1, "status": status, **event})
    return "" if line is None else f"{line.id}  {line.text}" + (f"  ({line.note})" if line.note else "")


def test_an_operation_is_told_in_composes_words() -> None:
    for kind, begin, end in [
        ("CreateNetwork", "Creating", "Created"),
        ("CreateContainer", "Creating", "Created"),
        ("StartContainer", "Starting", "Started"),
        ("StopContainer", "Stopping", "Stopped"),
        ("RemoveContainer", "Removing", "Removed"),
        ("KillContainer", "Killing", "Killed"),
    ]:
        op = operation(kind)
        narrator = Narrator([op])
        assert tell(narrator, op, "started") == f"Container app-web-1  {begin}"
        assert tell(narrator, op, "done") == f"Container app-web-1  {end}"


def test_a_start_that_was_not_needed_is_running() -> None:
    op = operation("StartContainer")
    assert tell(Narrator([op]), op, "unchanged") == "Container app-web-1  Running"


def test_a_replacement_is_one_line_with_its_cause() -> None:
    labels = {"com.docker.compose.replace": "app-web-1"}
    create = operation("CreateContainer", cause="configuration changed: image", Config={"Labels": labels})
    stop, remove = operation("StopContainer"), operation("RemoveContainer")
    rename, start = operation("RenameContainer"), operation("StartContainer")
    narrator = Narrator([create, stop, remove, rename, start])
    told = [
        tell(narrator, op, status) for op in (create, stop, remove, rename, start) for status in ("started", "done")
    ]
    assert [text for text in told if text] == [
        "Container app-web-1  Recreate  (configuration changed: image)",
        "Container app-web-1  Recreate",
        "Container app-web-1  Recreated",
        "Container app-web-1  Starting",
        "Container app-web-1  Started",
    ]


def test_waits_say_for_what_and_how_they_ended() -> None:
    op = operation("WaitContainer", "container app-db-1", "web depends on db being healthy", Condition="healthy")
    narrator = Narrator([op])
    assert tell(narrator, op, "started") == "Container app-db-1  Waiting  (web depends on db being healthy)"
    assert tell(narrator, op, "waiting", text="starting, 1 of 3") == "Container app-db-1  Waiting  (starting, 1 of 3)"
    assert tell(narrator, op, "done").startswith("Container app-db-1  Healthy")
    done = operation("WaitContainer", Condition="completed")
    assert tell(Narrator([done]), done, "done") == "Container app-web-1  Exited"


def test_failures_and_warnings_are_told() -> None:
    op = operation("RemoveNetwork", "network app_default")
    narrator = Narrator([op])
    assert tell(narrator, op, "warning", text="resource is still in use") == (
        "Network app_default  Resource is still in use"
    )
    assert tell(narrator, op, "failed", error={"message": "no"}) == "Network app_default  Error  (no)"


def test_a_hook_shows_while_it_runs_and_then_the_line_is_as_before() -> None:
    start, hook = operation("StartContainer"), operation("RunHook", cause="post_start hook")
    narrator = Narrator([start, hook])
    tell(narrator, start, "done")
    assert tell(narrator, hook, "started") == "Container app-web-1  Running  (post_start hook)"
    assert tell(narrator, hook, "done") == "Container app-web-1  Started"


def test_plain_is_a_line_for_each_change() -> None:
    out = io.StringIO()
    writer = progress.PlainWriter(out)
    writer.line(Line("Container a", WORKING, "Recreate", "image changed"))
    writer.line(Line("Container a", WORKING, "Recreate", "image changed"))
    writer.line(Line("Container a", DONE, "Recreated", "image changed"))
    assert out.getvalue() == " Container a  Recreate  (image changed)\n Container a  Recreated\n"


def test_dry_run_has_composes_prefix() -> None:
    out = io.StringIO()
    progress.PlainWriter(out, dry_run=True).line(Line("Container a", DONE, "Created"))
    assert out.getvalue() == "DRY-RUN MODE -  Container a  Created\n"


def test_json_lines_have_composes_keys() -> None:
    out = io.StringIO()
    writer = progress.JsonWriter(out)
    writer.line(Line("Container a", WORKING, "Creating", "missing volume"))
    writer.message("done")
    assert [json.loads(line) for line in out.getvalue().splitlines()] == [
        {"id": "Container a", "status": "Creating", "cause": "missing volume"},
        {"tail": True, "text": "done"},
    ]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def tty(height: int = 24, width: int = 80, **options):
    out, clock = io.StringIO(), Clock()
    options.setdefault("colour", False)
    return out, clock, progress.TtyWriter(out, lambda: (height, width), clock=clock, tick=False, **options)


def drawn(out: io.StringIO) -> list[str]:
    """The lines of the last drawing without control sequences."""
    last = out.getvalue().split("\x1b[?25l")[-1]
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]|\r", "", last).splitlines()


def test_the_terminal_shows_count_mark_state_and_time() -> None:
    out, clock, writer = tty(width=60)
    writer.line(Line("Network app_default", DONE, "Created"))
    writer.line(Line("Container app-web-1", WORKING, "Starting"))
    clock.now += 0.4
    writer.draw()
    assert drawn(out) == [
        "[+] Running 1/2",
        " ✔ Network app_default  Created" + " " * 24 + "0.0s ",
        " ⠋ Container app-web-1  Starting" + " " * 23 + "0.4s ",
    ]
    writer.line(Line("Container app-web-1", DONE, "Started"))
    clock.now += 5
    writer.stop()
    assert drawn(out)[0] == "[+] Running 2/2"
    assert drawn(out)[2] == " ✔ Container app-web-1  Started" + " " * 24 + "0.4s "


def test_a_drawing_goes_over_the_one_before() -> None:
    out, _, writer = tty()
    writer.line(Line("Container a", WORKING, "Starting"))
    writer.draw()
    assert "A" not in re.findall(r"\x1b\[\d+([A-Z])", out.getvalue())
    writer.draw()
    assert "\x1b[2A" in out.getvalue()


def test_a_low_terminal_shows_what_matters_and_the_end_shows_all() -> None:
    out, _, writer = tty(height=5)
    for number in range(10):
        writer.line(Line(f"Container c-{number}", ERROR if number == 2 else DONE, "x"))
    writer.line(Line("Container busy", WORKING, "Starting"))
    writer.draw()
    assert [line.split()[2] for line in drawn(out)[1:]] == ["c-2", "c-9", "busy"]
    writer.stop()
    assert len(drawn(out)) == 12


def test_nothing_is_wider_than_the_terminal() -> None:
    out, _, writer = tty(width=50)
    writer.line(Line("Container app-web-1", ERROR, "Error", "a very long reason " * 10))
    writer.draw()
    assert max(map(len, drawn(out))) <= 50
    assert "…" in drawn(out)[1]


def test_colours_are_composes() -> None:
    out, _, writer = tty(colour=True)
    writer.line(Line("Container a", DONE, "Started"))
    writer.stop()
    assert "\x1b[34m[+] Running 1/1\x1b[0m" in out.getvalue()
    assert "\x1b[32m✔\x1b[0m" in out.getvalue()
    assert "\x1b[32mStarted\x1b[0m" in out.getvalue()


def test_every_operation_of_a_plan_has_words() -> None:
    from typing import get_args

    from runtime.wire.plan import OperationKind

    told = verbs.VERBS.keys() | verbs.SILENT | {"WaitContainer"}
    assert set(get_args(OperationKind)) <= told


def test_what_an_operation_does_without_stays_on_its_line() -> None:
    op = operation("StartContainer")
    narrator = Narrator([op])
    assert (
        tell(narrator, op, "warning", text="cpu.idle: limit dropped") == "Container app-web-1  Cpu.idle: limit dropped"
    )
    assert tell(narrator, op, "done") == "Container app-web-1  Started  (cpu.idle: limit dropped)"

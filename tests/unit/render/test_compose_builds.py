"""The builds of one plan in one log, and what is said when the last is over."""

from __future__ import annotations

import io
from typing import Any

from compose.cli.console import Console
from compose.cli.render.buildlog import BuildLog, PlainBuild
from compose.cli.render.progress import PlainWriter
from compose.cli.render.reporter import ConsoleReporter
from compose.reconcile.plan import PlanBuilder


def test_steps_carry_their_service_and_are_numbered_through_and_the_end_comes_last() -> None:
    out, err = io.StringIO(), io.StringIO()
    console = Console(environ={}, cwd="/", stdin=io.StringIO(), stdout=out, stderr=err)
    reporter = ConsoleReporter(console, lambda: PlainWriter(err), lambda: BuildLog(PlainBuild(out)))
    builder = PlanBuilder()
    for name in ("web,twin", "api"):
        builder.add("BuildImage", subject=f"build:{name}", resource=f"build {name}", cause="build")
    plan = builder.build("")
    first, second = plan.to_wire()["operations"]

    def step(operation: Any, event: str, **said: Any) -> None:
        vertex = {"vertex": 1, "event": event, "seconds": 0.1, **said}
        reporter.event(operation, {"op": operation["id"], "status": "vertex", "vertex": vertex})  # type: ignore[typeddict-item]

    reporter.begin(plan)
    for operation in (first, second):
        reporter.event(operation, {"op": operation["id"], "status": "started"})
    step(first, "start", name="[build 1/2] RUN make")
    step(second, "start", name="exporting to image")
    step(first, "done")
    reporter.event(first, {"op": 1, "status": "done", "result": {"Id": "sha256:1"}})
    step(second, "done")
    reporter.event(second, {"op": 2, "status": "done", "result": {"Id": "sha256:2"}})
    assert err.getvalue() == ""
    reporter.end()
    assert out.getvalue().splitlines() == [
        "#1 [web build 1/2] RUN make",
        "#1 ...",
        "",
        "#2 [api] exporting to image",
        "#2 ...",
        "",
        "#1 [web build 1/2] RUN make",
        "#1 DONE 0.1s",
        "",
        "#2 [api] exporting to image",
        "#2 DONE 0.1s",
    ]
    assert err.getvalue() == " api  Built\n twin  Built\n web  Built\n"

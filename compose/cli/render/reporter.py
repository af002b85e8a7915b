"""Turn what use cases report into progress lines, warnings and questions on the caller's terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compose.cli.render import verbs

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.cli.console import Console
    from compose.cli.render.buildlog import BuildLog
    from compose.cli.render.progress import Writer
    from compose.reconcile.plan import Plan
    from runtime.wire.plan import Operation, PlanEvent

YES = frozenset({"y", "yes", "t", "true", "1"})


class ConsoleReporter:
    """One command's reporter; every plan gets a writer of its own."""

    def __init__(
        self, console: Console, make_writer: Callable[[], Writer], make_build_log: Callable[[], BuildLog] | None = None
    ) -> None:
        """`make_build_log`: what shows the steps of builds; None shows none."""
        self._console = console
        self._make_writer = make_writer
        self._make_build_log = make_build_log
        self._build_log: BuildLog | None = None
        self._held: list[verbs.Line] = []
        """What builds came to, told when the last is over."""
        self._writer: Writer | None = None
        self._narrator = verbs.Narrator(())
        self.plain_warnings = False
        """Print warnings as bare lines, where Compose does."""
        self.verbose = False

    def begin(self, plan: Plan) -> None:
        self._console.stdout.flush()
        self._narrator = verbs.Narrator(plan.to_wire()["operations"])
        if self._make_build_log is not None and any(each.kind == "BuildImage" for each in plan.operations):
            self._build_log = self._make_build_log()
            return
        self._writer = self._make_writer()
        self._writer.start()
        for kept in plan.kept:
            self._writer.line(verbs.kept_line(kept.resource, kept.status))

    def event(self, operation: Operation, event: PlanEvent) -> None:
        line = self._narrator.line(operation, event)
        if self._build_log is not None:
            self._build_log.event(operation, event)
            if line is not None and line.status == verbs.DONE:
                self._held += [line._replace(id=name) for name in line.id.split(",")]
        elif line is not None and self._writer is not None:
            self._writer.line(line)

    def step(self, name: str, text: str, *, done: bool = False, failed: bool = False, bare: bool = False) -> None:
        if self._writer is not None:
            status = verbs.ERROR if failed else verbs.DONE if done else verbs.WORKING
            self._writer.line(verbs.Line(name, status, text, bare=bare))

    def end(self) -> None:
        if self._build_log is not None:
            self._build_log.stop()
            self._build_log = None
            self._writer = self._make_writer()
            self._writer.start()
            for line in sorted(self._held):
                self._writer.line(line)
            self._held = []
        if self._writer is not None:
            self._writer.stop()
            self._writer = None

    def dry_run(self, plan: Plan) -> None:
        self._console.write(str(plan))

    def warn(self, text: str) -> None:
        if self.plain_warnings:
            self.info(text)
            return
        self._console.warn(text)

    def info(self, text: str) -> None:
        if self._writer is not None:
            self._writer.message(text)
        else:
            self._console.stderr.write(f"{text}\n")
            self._console.stderr.flush()

    def debug(self, text: str) -> None:
        if self.verbose:
            self._console.log("debug", text)

    def announce(self, text: str) -> None:
        self._console.write(f"{text}\n")
        self._console.stdout.flush()

    def ask(self, question: str) -> bool:
        """No answer is a no; without a terminal the question is a line of the output, and a line of input the answer."""
        if not self._console.stdin_is_terminal:
            self.announce(question)
            return self._console.stdin.readline().strip().lower() in YES
        self._console.stderr.write(f"? {question} (y/N) ")
        self._console.stderr.flush()
        return self._console.stdin.readline().strip().lower() in YES

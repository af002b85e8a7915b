"""What a use case tells its caller while it works; the command line renders it, tests record it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable

    from compose.reconcile.plan import Plan
    from runtime.wire.plan import Operation, PlanEvent


class Reporter(Protocol):
    """Receives the progress of plans."""

    def begin(self, plan: Plan) -> None:
        """A plan is about to be executed; what it keeps can be shown now."""

    def event(self, operation: Operation, event: PlanEvent) -> None:
        """Something happened to an operation."""

    def step(self, name: str, text: str, *, done: bool = False, failed: bool = False, bare: bool = False) -> None:
        """Something that is not the engine's to do, between `begin` and `end`, is at `text`; `bare`: which is no state."""

    def end(self) -> None:
        """The plan is over, whatever came of it."""

    def dry_run(self, plan: Plan) -> None:
        """The plan is shown instead of executed."""

    def warn(self, text: str) -> None:
        """Something to tell that is not an error."""

    def info(self, text: str) -> None:
        """Something to tell that is not even a warning."""

    def announce(self, text: str) -> None:
        """A result: a line on standard output."""

    def debug(self, text: str) -> None:
        """Something for whoever looks for a fault."""

    def ask(self, question: str) -> bool:
        """Put a question to the user; no answer is a no."""


class ForwardingReporter:
    """Passes everything on; what listens in on the way overrides what it wants to hear."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter

    def begin(self, plan: Plan) -> None:
        self._reporter.begin(plan)

    def event(self, operation: Operation, event: PlanEvent) -> None:
        self._reporter.event(operation, event)

    def step(self, name: str, text: str, *, done: bool = False, failed: bool = False, bare: bool = False) -> None:
        self._reporter.step(name, text, done=done, failed=failed, bare=bare)

    def end(self) -> None:
        self._reporter.end()

    def dry_run(self, plan: Plan) -> None:
        self._reporter.dry_run(plan)

    def warn(self, text: str) -> None:
        self._reporter.warn(text)

    def info(self, text: str) -> None:
        self._reporter.info(text)

    def announce(self, text: str) -> None:
        self._reporter.announce(text)

    def debug(self, text: str) -> None:
        self._reporter.debug(text)

    def ask(self, question: str) -> bool:
        return self._reporter.ask(question)


class LogSink(Protocol):
    """Receives what containers print."""

    def register(self, names: Iterable[str]) -> None:
        """Names that are going to print."""

    def block(self, name: str, block: bytes) -> None:
        """A block of complete json-file records."""

    def status(self, name: str, text: str) -> None:
        """Something happened to a container: `exited with code 0`."""

    def flush(self, name: str | None = None) -> None:
        """No more is coming, of one container or of all."""

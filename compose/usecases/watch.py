"""Live reload: watch the files of `develop.watch` and bring containers up to date, until told to stop.

An error is told and watching goes on. What a container missed (it did not run, the engine was away, it was made later)
it gets with the next change, or as soon as it can. A batch that has begun is finished: no container is left stopped.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from compose.errors import ComposeError
from compose.model.record import Record
from compose.reconcile import plan_lifecycle, plan_watch
from compose.reconcile.options import RestartOptions
from compose.usecases import filesync
from compose.usecases.execute import execute
from compose.usecases.observe import observe
from compose.watch.rules import Change, Scope, Work, compile_rules, decide, listed
from compose.watch.session import Watcher
from runtime.errors import Conflict, EngineError, Unavailable
from runtime.wire.ignorefile import BadPattern, Matcher, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from compose.model.hook import ServiceHook
    from compose.model.project import Project
    from compose.model.service import ServiceConfig
    from compose.reconcile.observed import ObservedContainer, ObservedState
    from compose.reconcile.plan import Plan
    from compose.usecases.rebuild import Rebuilder
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.report import Reporter
    from compose.watch.rules import Rule
    from runtime.client.attach import FrameStream
    from runtime.client.client import Client

STOP_SECONDS = 1
"""How long a process may take to end when its files have changed; then it is killed."""
TICK = 0.2
"""Seconds between looks at whether to stop."""
RETRY = 0.5
"""Seconds between attempts to bring containers what they missed."""
RUNNING = frozenset({"running", "paused"})
AT_ONCE = 8
"""Containers that are brought files at the same time."""
NOT_CONFIGURED = "none of the selected services is configured for watch, consider setting an 'develop' section"


class Watched(Record):
    """What a project's files ask to be watched."""

    rules: tuple[Rule, ...]
    warnings: tuple[str, ...]

    @property
    def services(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(rule.service for rule in self.rules))


def watched(project: Project, services: Sequence[str]) -> Watched:
    """The rules of the services, or of all that have some. Raises ComposeError if there is nothing to watch."""
    rules, refused = compile_rules(project, services, dockerignore)
    warnings = [f"service {each.service}: path {each.path} {each.reason}; it is not watched" for each in refused]
    if not rules:
        raise ComposeError("; ".join([NOT_CONFIGURED, *warnings]))
    for rule in rules:
        if rule.action == "rebuild" and project.service(rule.service).build is None:
            raise ComposeError(f'can\'t watch service "{rule.service}" with action rebuild without a build context')
    return Watched(rules=tuple(rules), warnings=tuple(warnings))


def dockerignore(service: ServiceConfig) -> Scope | None:
    """The ignore file of a service's build context, the Dockerfile's own one first. Raises ComposeError."""
    build = service.build
    if build is None or not os.path.isdir(build.context):
        return None
    dockerfile = os.path.join(build.context, build.dockerfile or "Dockerfile")
    for path in (f"{dockerfile}.dockerignore", os.path.join(build.context, ".dockerignore")):
        try:
            with open(path, encoding="utf-8") as file:
                return Scope(os.path.normpath(build.context), Matcher(parse(file.read())))
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError, BadPattern) as error:
            raise ComposeError(f"{path}: {error}") from error
    return None


class Watch:
    """One watching session. `notice` tells a line; `stopped` is asked between batches."""

    def __init__(
        self,
        client: Client,
        project: Project,
        asked: Watched,
        reporter: Reporter,
        *,
        notice: Callable[[str], None],
        stopped: Callable[[], bool],
        access: RegistryAccess | None = None,
        prune: bool = False,
    ) -> None:
        """`reporter` gets what plans tell: a silent one leaves one line a reload. `prune`: remove replaced images."""
        self._access = access
        self._prune = prune
        self._rebuilder: Rebuilder | None = None
        self._client = client
        self._project = project
        self._rules = asked.rules
        self._services = asked.services
        self._reporter = reporter
        self._notice = notice
        self._stopped = stopped
        self._ledger = filesync.Ledger(asked.services)
        self._unfinished: dict[str, Work] = {}
        """By service: work that could not be done now, but may be soon."""
        self._told: dict[str, str] = {}
        self._retry_at = 0.0

    def run(self) -> None:
        """Watch until `stopped`. Raises EngineError when the engine cannot be reached at the beginning."""
        try:
            self._watch()
        finally:
            if self._rebuilder is not None:
                self._rebuilder.close()

    def _watch(self) -> None:
        with Watcher(self._rules) as watcher:
            works = self._initial(watcher)
            self._notice(f"Watch enabled for {', '.join(self._services)}")
            self._carry_out(works)
            while not self._stopped():
                changes = watcher.next(TICK)
                if changes:
                    self.apply(changes)
                elif self._unfinished and time.monotonic() > self._retry_at:
                    self._carry_out(list(self._unfinished.values()))
                if self._rebuilder is not None:
                    self._bring(self._rebuilder.replaced())

    def apply(self, changes: Sequence[Change]) -> None:
        """Do what a batch asks for; errors are told."""
        works = decide(self._rules, changes)
        for work in works:
            self._ledger.owe(work.service, work.copies, work.deletions)
            if work.rebuild:
                self._rebuild(work)
        self._told.clear()
        # what is rebuilt gets a new container, and need not be restarted before
        works = [work.replace(restart=False) if work.rebuild else work for work in works]
        works = [work for work in works if work.copies or work.deletions or work.restart or work.hooks]
        self._carry_out([_joined(self._unfinished.get(work.service), work) for work in works])

    def _rebuild(self, work: Work) -> None:
        if self._rebuilder is None:
            from compose.usecases.rebuild import Rebuilder
            from compose.usecases.registryauth import RegistryAccess

            self._rebuilder = Rebuilder(
                self._client,
                self._project,
                access=self._access or RegistryAccess({}),
                notice=self._notice,
                prune=self._prune,
                timeout=STOP_SECONDS,
            )
        self._rebuilder.ask(work.service, work.paths)

    def _bring(self, services: Sequence[str]) -> None:
        """Give new containers what was synced into the former ones."""
        if not services:
            return
        outcomes = {name: _Outcome() for name in services}
        works = [
            Work(service=name, copies={}, deletions=(), restart=False, rebuild=False, hooks=(), paths=())
            for name in services
        ]
        try:
            self._sync(works, self._observe(), outcomes)
        except EngineError as error:
            for outcome in outcomes.values():
                outcome.fail(error)
        for work in works:
            outcome = outcomes[work.service]
            if outcome.later:
                self._unfinished[work.service] = work
            if outcome.error:
                self._say(work.service, f"new container, files not synced: {outcome.error}")

    def _initial(self, watcher: Watcher) -> list[Work]:
        """Know the containers there are, and the work that `initial_sync` asks for: all files, whatever their age."""
        self._observe()
        works = []
        for rule in self._rules:
            if not rule.initial_sync:
                continue
            there = [Change(path, known) for path, known in watcher.files(rule) if known != "dir"]
            for work in decide([rule], there):
                self._ledger.owe(work.service, work.copies, ())
                works.append(work.replace(restart=False))
        return works

    def _observe(self) -> ObservedState:
        observed = observe(self._client, self._project.name)
        self._ledger.meet({one.id: one.service for name in self._services for one in observed.of_service(name)})
        return observed

    def _carry_out(self, works: Sequence[Work]) -> None:
        """Do the work; what failed for a reason that may pass is kept for later."""
        if not works:
            return
        began = time.perf_counter()
        self._retry_at = time.monotonic() + RETRY
        outcomes = {work.service: _Outcome() for work in works}
        try:
            observed = self._observe()
            self._sync(works, observed, outcomes)
            self._restart(
                [work for work in works if work.restart and not outcomes[work.service].error], observed, outcomes
            )
            self._run_hooks([work for work in works if work.hooks and not outcomes[work.service].error], outcomes)
        except EngineError as error:
            for outcome in outcomes.values():
                outcome.fail(error)
        took = time.perf_counter() - began
        for work in works:
            outcome = outcomes[work.service]
            self._unfinished.pop(work.service, None)
            if outcome.later:
                self._unfinished[work.service] = work
            self._tell(work, outcome, took)

    def _sync(self, works: Sequence[Work], observed: ObservedState, outcomes: Mapping[str, _Outcome]) -> None:
        services = [work.service for work in works]
        owed = [one for name in services for one in observed.of_service(name) if self._ledger.of(one.id)]
        restarted = {work.service for work in works if work.restart}
        for one in owed:
            if one.status not in RUNNING and one.service not in restarted:
                outcomes[one.service].waiting = True
        running = [one for one in owed if one.status in RUNNING]

        def pay(one: ObservedContainer) -> None:
            try:
                filesync.pay(self._client, one.id, self._ledger.of(one.id))
            except EngineError as error:
                outcomes[one.service].fail(error)
            else:
                self._paid(one, outcomes)

        if len(running) == 1:
            pay(running[0])
        elif running:
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(pool.map(pay, running))

    def _paid(self, one: ObservedContainer, outcomes: Mapping[str, _Outcome]) -> None:
        self._ledger.paid(one.id)
        outcomes[one.service].did("synced", one.name)

    def _restart(self, works: Sequence[Work], observed: ObservedState, outcomes: Mapping[str, _Outcome]) -> None:
        """One plan for all; a container that does not run gets its files when it is made ready, before its program runs."""
        if not works:
            return
        services = tuple(work.service for work in works)
        options = RestartOptions(services=services, timeout=STOP_SECONDS)
        containers = [one for name in services for one in observed.of_service(name)]
        asleep = [one for one in containers if one.status not in RUNNING and self._ledger.of(one.id)]
        fresh = [observed]
        with ThreadPoolExecutor(max(1, len(asleep))) as pool:
            streams: list[FrameStream] = []
            try:
                for one in asleep:
                    stream = filesync.pay_before_start(self._client, one.id, self._ledger.of(one.id))
                    streams.append(stream)
                    pool.submit(self._deliver, stream, one, outcomes)
                execute(
                    self._client,
                    lambda _: plan_lifecycle.restart(self._project, fresh.pop() if fresh else self._observe(), options),
                    self._reporter,
                    project=self._project,
                )
            except (ComposeError, EngineError) as error:
                for stream in streams:
                    filesync.give_up(stream)
                for name in services:
                    outcomes[name].fail(error)
                return
        for one in containers:
            outcomes[one.service].did("restarted" if one.alive else "started", one.name)

    def _deliver(self, stream: FrameStream, one: ObservedContainer, outcomes: Mapping[str, _Outcome]) -> None:
        try:
            filesync.deliver(stream, self._ledger.of(one.id))
        except EngineError as error:
            outcomes[one.service].fail(error)
        else:
            self._paid(one, outcomes)

    def _run_hooks(self, works: Sequence[Work], outcomes: Mapping[str, _Outcome]) -> None:
        for work in works:
            hooks = {work.service: work.hooks}
            make = partial(self._hooks_plan, hooks)
            try:
                plan = execute(self._client, make, self._reporter, project=self._project)
            except (ComposeError, EngineError) as error:
                outcomes[work.service].fail(error)
                continue
            if plan.operations:
                outcomes[work.service].did("command run", "")

    def _hooks_plan(self, hooks: Mapping[str, Sequence[ServiceHook]], _declined: frozenset[str]) -> Plan:
        return plan_watch.run_hooks(self._project, self._observe(), hooks)

    def _tell(self, work: Work, outcome: _Outcome, took: float) -> None:
        if outcome.error:
            self._say(work.service, f"{listed(work.paths)} changed, reload failed: {outcome.error}")
        elif outcome.done:
            copies = f" in {outcome.count} containers" if outcome.count > 1 else ""
            words = ", ".join(outcome.done)
            self._say(work.service, f"{listed(work.paths)} {words}{copies} ({took * 1000:.0f} ms)", always=True)
        elif outcome.waiting:
            self._say(work.service, f"{listed(work.paths)} changed, to be synced when a container runs")

    def _say(self, service: str, text: str, *, always: bool = False) -> None:
        if always or self._told.get(service) != text:
            self._notice(f"{service}: {text}")
        self._told[service] = text


class _Outcome:
    """What came of the work for one service."""

    def __init__(self) -> None:
        self.done: dict[str, set[str]] = {}
        self.error = ""
        self.waiting = False
        """A container did not run."""
        self._passing = False

    def did(self, word: str, container: str) -> None:
        self.done.setdefault(word, set()).add(container)

    def fail(self, error: ComposeError | EngineError) -> None:
        self.error = self.error or error.message
        self._passing = self._passing or isinstance(error, (Unavailable, Conflict))

    @property
    def later(self) -> bool:
        """Whether another attempt may succeed without another change."""
        return self.waiting or self._passing

    @property
    def count(self) -> int:
        return max(map(len, self.done.values()), default=0)


def _joined(earlier: Work | None, work: Work) -> Work:
    """Work that also does what is unfinished; the files of both are in the ledger."""
    if earlier is None:
        return work
    hooks = (*earlier.hooks, *(hook for hook in work.hooks if hook not in earlier.hooks))
    return work.replace(restart=work.restart or earlier.restart, hooks=hooks)

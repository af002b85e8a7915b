"""Bring a project up and stay: print what its containers write until all have ended, or stop them when told to.

Everything is created before anything starts, so that the logs are open when the first line is written. The plan that
starts runs in a thread; the follower's loop never waits for it.
"""

from __future__ import annotations

import threading
import time
from queue import SimpleQueue
from typing import TYPE_CHECKING, Protocol

from compose.errors import ComposeError
from compose.model.record import Record
from compose.reconcile.options import ImageOptions, KillOptions, StopOptions
from compose.usecases import containers
from compose.usecases.attachedlog import record
from compose.usecases.follow import Exit, Follower
from compose.usecases.lifecycle import Lifecycle
from compose.usecases.report import ForwardingReporter
from compose.usecases.up import Up
from runtime.client.client import Client
from runtime.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.model.project import Project
    from compose.reconcile.options import UpOptions
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.report import LogSink, Reporter
    from compose.usecases.watch import Watched
    from runtime.wire.containers import ContainerInspect
    from runtime.wire.plan import Operation, PlanEvent

INTERRUPTED = 130
SETTLE = 0.5
"""Seconds after everything was stopped in which its ends are heard of."""


class AttachOptions(Record):
    """What `up` does with what it started."""

    services: frozenset[str] = frozenset()
    """Whose output is shown."""
    watched: frozenset[str] = frozenset()
    """Who is waited for."""
    abort: str = ""
    """"" to go on, `exit` to stop everything when a container ends, `failure` when one fails."""
    exit_code_from: str = ""


class Shortcuts(Protocol):
    """Keys of the user's, and the line that names them."""

    def typed(self) -> str:
        """What was typed since the last time."""

    def watching(self, is_on: bool) -> None:
        """Files are watched, or no longer."""

    def say(self, text: str) -> None:
        """Tell a line."""

    def leave(self) -> None:
        """No more keys are taken."""


class _Left(Exception):
    """The user left; what runs goes on."""


class AttachedUp:
    """One attached `up`. `interrupts` counts the user's Ctrl-C; `notice` tells a line on standard output."""

    def __init__(
        self,
        client: Client,
        project: Project,
        options: AttachOptions,
        *,
        sink: LogSink,
        reporter: Reporter,
        quiet: Reporter,
        between: Reporter,
        notice: Callable[[str], None],
        interrupts: Callable[[], int],
        assume_yes: bool = False,
        watch: Watched | None = None,
        shortcuts: Shortcuts | None = None,
        watchable: Callable[[], Watched] | None = None,
        access: RegistryAccess | None = None,
    ) -> None:
        """`watch`: what to keep in step with the files meanwhile; then it goes on while nothing runs.

        `shortcuts`: `w` begins and ends that, with what `watchable` gives (ComposeError if nothing), `d` leaves.
        """
        self._shortcuts = shortcuts
        self._watchable = watchable
        self._session: object | None = None
        """What stands for the present watching; None while there is none."""
        self._leaving = False
        self._follower: Follower | None = None
        self._idle_since = 0.0
        self._watch = watch
        self._access = access
        self._watcher = _Task()
        self._client = client
        self._project = project
        self._options = options
        self._sink = sink
        self._reporter = reporter
        self._quiet = quiet
        self._between = between
        self._notice = notice
        self._interrupts = interrupts
        self._assume_yes = assume_yes
        self._hooks: SimpleQueue[tuple[str, str]] = SimpleQueue()
        """Names of containers, and what their hooks wrote."""
        self._starter = _Task()
        self._stoppers: list[_Task] = []
        self._handled = 0
        self._exit_code = 0
        self._code_is_set = False
        self._aborting = False
        self._up_options: UpOptions | None = None

    def run(self, options: UpOptions) -> int:
        """The exit code. Raises what `Up` raises, and the error of a stop."""
        self._up_options = options
        create = options.replace(start=False)
        up = Up(self._client, self._project, self._reporter, assume_yes=self._assume_yes, access=self._access)
        up.run(create)
        self._project = up.project
        self._interrupts()  # from here on Ctrl-C means: stop what runs
        follower = self._follower = Follower(
            self._client,
            self._project.name,
            self._sink,
            wanted=lambda container: containers.service_of(container) in self._options.services,
            watched=self._is_watched,
            tail=0,
            on_exit=self._ended,
            attach=True,
            beside=self._tell_hooks,
        )
        names = follower.begin(created=True)
        if names:
            self._notice(f"Attaching to {', '.join(names)}")
        self._starter.begin(lambda client: self._start(client, options), self._client)
        if self._watch is not None:
            self._begin_watching()
        try:
            follower.run(busy=self._is_busy, check=self._check)
        except _Left:
            return 0
        return self._outcome()

    def _start(self, client: Client, options: UpOptions) -> None:
        # what the first plan replaced or removed is done; asking again would ask the user twice
        again = options.replace(
            recreate="never",
            recreate_dependencies="never",
            remove_orphans=False,
            ignore_orphans=True,
            images=ImageOptions(ensure=False),
        )
        Up(client, self._project, HookListener(self._quiet, self._hooks), assume_yes=True, provided=True).run(again)

    def _begin_watching(self) -> None:
        session = self._session = object()
        self._watcher = _Task()
        self._watcher.begin(lambda client: self._keep_in_step(client, session), self._client)

    def _toggle_watching(self) -> None:
        shortcuts = self._shortcuts
        if shortcuts is None or self._watchable is None:
            return
        if self._session is not None:
            self._session = None
            shortcuts.watching(False)
            return
        try:
            self._watch = self._watch or self._watchable()
        except ComposeError as error:
            shortcuts.say(error.message)
            return
        self._begin_watching()

    def _keep_in_step(self, client: Client, session: object) -> None:
        from compose.usecases.watch import Watch

        shortcuts, begun = self._shortcuts, threading.Event()

        def notice(text: str) -> None:
            if shortcuts is None or begun.is_set():
                self._notice(text)
                return
            begun.set()  # the first thing it tells is that it watches: only now a change is seen
            shortcuts.watching(True)

        if self._watch is not None:
            ended = lambda: bool(self._handled or self._aborting or self._session is not session)  # noqa: E731
            Watch(client, self._project, self._watch, self._quiet, notice=notice, stopped=ended).run()

    def _is_watched(self, container: ContainerInspect) -> bool:
        return containers.service_of(container) in self._options.watched

    def _is_busy(self) -> bool:
        return self._starter.is_alive or self._watcher.is_alive or any(task.is_alive for task in self._stoppers)

    def _settle(self) -> None:
        """Once all was stopped: a start that was given up leaves containers that will never run."""
        if not (self._handled or self._aborting) or self._is_busy():
            self._idle_since = 0.0
        elif not self._idle_since:
            self._idle_since = time.monotonic()
        elif self._follower is not None and time.monotonic() - self._idle_since > SETTLE:
            self._idle_since = 0.0
            self._follower.settle()

    def _take_keys(self) -> None:
        if self._shortcuts is None or self._handled:
            return
        for key in self._shortcuts.typed():
            if key == "w":
                self._toggle_watching()
            elif key == "d":
                self._leaving = True
        if self._leaving and not self._starter.is_alive and self._starter.error is None:
            self._shortcuts.leave()
            raise _Left

    def _check(self) -> None:
        """In every round of the loop: keys, Ctrl-C, and a start that failed."""
        self._take_keys()
        self._settle()
        count = self._interrupts()
        if count > self._handled:
            first, self._handled = self._handled == 0, count
            if first:
                if self._shortcuts is not None:
                    self._shortcuts.leave()
                self._notice("Gracefully Stopping... press Ctrl+C again to force")
                self._stop()
            else:
                self._kill()
        error = self._starter.error or self._watcher.error
        if error is not None and not self._handled and not self._aborting:
            raise error

    def _ended(self, end: Exit) -> None:
        options = self._options
        if end.service == options.exit_code_from and not self._code_is_set:
            self._exit_code = end.code
            self._code_is_set = True
        if not options.abort or self._aborting or (options.abort == "failure" and end.code == 0):
            return
        self._aborting = True
        if not options.exit_code_from:
            self._exit_code = end.code
        self._between.info("Aborting on container exit...")
        self._stop()

    def _tell_hooks(self) -> None:
        """What hooks wrote, under the name of their container and an arrow; the thread that ran them only keeps it."""
        while not self._hooks.empty():
            container, output = self._hooks.get()
            shown = self._follower.shown_as(container) if self._follower is not None else ""
            if shown:
                self._sink.register([f"{shown} ->"])
                self._sink.block(f"{shown} ->", record("stdout", output.encode()))
                self._sink.flush(f"{shown} ->")

    def _stop(self) -> None:
        timeout = self._up_options.timeout if self._up_options is not None else None
        options = StopOptions(services=self._scope(), timeout=timeout)
        self._starter.abandon()
        self._in_background(lambda verbs: verbs.stop(options), after_others=True)

    def _kill(self) -> None:
        options = KillOptions(services=self._scope())
        for task in self._stoppers:
            task.abandon()
        self._in_background(lambda verbs: verbs.kill(options, at_once=True))

    def _scope(self) -> tuple[str, ...]:
        return self._up_options.services if self._up_options is not None else ()

    def _in_background(self, action: Callable[[Lifecycle], object], *, after_others: bool = False) -> None:
        project, reporter = self._project, HookListener(self._between, self._hooks)

        def run(client: Client) -> None:
            if after_others:
                # one that has not submitted its plan yet gives it up now
                self._starter.join()
                # what of the abandoned start is under way still starts containers: an empty plan waits for its end
                list(client.submit({"project": project.name, "operations": []}))
            action(Lifecycle(client, project, project.name, reporter))

        task = _Task()
        task.begin(run, self._client)
        self._stoppers.append(task)

    def _outcome(self) -> int:
        for task in self._stoppers:
            # killing what ended by itself meanwhile is no failure
            if task.error is not None and not isinstance(task.error, (Conflict, NotFound)):
                raise task.error
        if self._handled:
            return INTERRUPTED
        if self._starter.error is not None and not self._aborting:
            raise self._starter.error
        return self._exit_code


class HookListener(ForwardingReporter):
    """Passes everything on and keeps what hooks wrote."""

    def __init__(self, reporter: Reporter, hooks: SimpleQueue[tuple[str, str]]) -> None:
        super().__init__(reporter)
        self._hooks = hooks

    def event(self, operation: Operation, event: PlanEvent) -> None:
        output = (event.get("result") or {}).get("Output")
        if operation["kind"] == "RunHook" and output:
            self._hooks.put((operation["resource"].partition(" ")[2], str(output)))
        self._reporter.event(operation, event)


class _Task:
    """Something that runs in a thread with a client of its own, and can be left."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.abandoned = False
        self._thread: threading.Thread | None = None
        self._client: Client | None = None

    def begin(self, action: Callable[[Client], object], client: Client) -> None:
        self._client = Client(client.paths, parallel=client.parallel, by=client.by)
        self._thread = threading.Thread(target=self._run, args=(action, self._client), daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def join(self) -> None:
        """Wait for its end."""
        if self._thread is not None:
            self._thread.join()

    def abandon(self) -> None:
        """Close its connection: the engine cancels what has not begun."""
        self.abandoned = True
        if self._client is not None:
            self._client.abort()

    def _run(self, action: Callable[[Client], object], client: Client) -> None:
        try:
            action(client)
        except Exception as error:  # told by the main thread, which knows whether it still matters
            if not self.abandoned:
                self.error = error
        finally:
            client.close()

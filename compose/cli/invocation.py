"""Hold what one command line asked for before its command: global options, settled against the environment."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from compose.errors import UsageError
from compose.usecases.projects import ProjectOptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn, TextIO

    from typer import Context

    from compose.cli.console import Console
    from compose.cli.render.buildlog import BuildLog
    from compose.cli.render.logs import LogPrinter
    from compose.cli.render.progress import Writer
    from compose.cli.render.reporter import ConsoleReporter
    from compose.loader.remotes import Remote
    from compose.model.project import Project
    from compose.usecases.lifecycle import Lifecycle
    from compose.usecases.projects import ProjectRequest
    from compose.usecases.registryauth import RegistryAccess
    from compose.usecases.remoteresources import RemoteResources
    from runtime.client.client import Client

PROGRESS_MODES = ("auto", "tty", "plain", "json", "quiet")
TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})


class GlobalOptions(ProjectOptions):
    """The options before the command, as given."""

    ansi: str = "auto"
    ansi_given: bool = False
    progress: str = ""
    dry_run: bool = False
    parallel: int = -1
    verbose: bool = False


class Invocation:
    """What a command gets: the console, the global options, and ways to reach project, engine and renderers."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.options = GlobalOptions()
        self.dry_run = False
        self._progress = "auto"
        self._parallel = 0
        self._clients: list[Client] = []
        self._remotes: RemoteResources | None = None
        self.command = ""
        """As the user knows it: `pycompose network rm`."""

    @classmethod
    def of(cls, ctx: Context) -> Invocation:
        """The invocation a command runs in."""
        found = ctx.find_object(cls)
        if found is None:
            raise RuntimeError("command runs outside an invocation")
        found.command = ctx.command_path
        return found

    def apply(self, options: GlobalOptions) -> None:
        """Settle options against COMPOSE_* and NO_COLOR; raises UsageError for what does not go together."""
        environ = self.console.environ
        env_files = options.env_files or tuple(filter(None, environ.get("COMPOSE_ENV_FILES", "").split(",")))
        self.options = options.replace(env_files=tuple(map(self.absolute, env_files)))
        self.dry_run = self.dry_run or options.dry_run
        self.console.ansi = options.ansi if options.ansi_given else environ.get("COMPOSE_ANSI") or options.ansi
        self._progress = self._progress_mode(options.progress or environ.get("COMPOSE_PROGRESS", ""))
        self.console.json_messages = self._progress == "json"
        limit = environ.get("COMPOSE_PARALLEL_LIMIT") or "0"
        if options.parallel == -1 and not limit.lstrip("+-").isdigit():
            raise UsageError(f'COMPOSE_PARALLEL_LIMIT must be an integer (found: "{limit}")')
        self._parallel = max(0, options.parallel if options.parallel != -1 else int(limit))

    def flag(self, name: str) -> bool:
        """Whether a boolean environment variable is set to a true value."""
        return self.console.environ.get(name, "").lower() in TRUE

    def request(self) -> ProjectRequest:
        """What the loader needs to know."""
        from compose.usecases.projects import ProjectRequest

        options = self.options
        return ProjectRequest(
            files=options.files,
            project_name=options.project_name,
            profiles=options.profiles,
            env_files=options.env_files,
            project_directory=options.project_directory,
            compatibility=options.compatibility or self.flag("COMPOSE_COMPATIBILITY"),
            all_resources=options.all_resources,
            environ=self.console.environ,
            cwd=self.console.cwd,
            stdin=self.console.stdin.read,
            remote=self._remote,
            warn=self.console.warn,
        )

    def _remote(self, address: str) -> Remote:
        """What the address of a remote compose file stands for; asked once a command."""
        from compose.usecases.remoteresources import RemoteResources

        if self._remotes is None:
            self._remotes = RemoteResources(self.console.environ, self.client, self.registries)
        return self._remotes(address)

    def remotes(self) -> list[Remote]:
        """The remote compose files that the command has read so far."""
        return self._remotes.fetched() if self._remotes is not None else []

    def confirm_remote(self, project: Project, *, assume_yes: bool = False) -> None:
        """Have the user agree to what came from elsewhere; raises ComposeError if he does not."""
        if self._remotes is not None:
            from compose.cli.remotestack import confirm_remote

            confirm_remote(self, project, assume_yes=assume_yes)

    @property
    def tells_progress(self) -> bool:
        """Whether messages for people belong between the progress lines."""
        return self._progress not in ("quiet", "json")

    def client(self, *, start: bool = True) -> Client:
        """A client of the engine, which is started if need be."""
        from runtime.client import autostart

        client = autostart.connect(self.console.environ, start=start)
        client.parallel = self._parallel
        client.by = f'"{self.command}" (pid {self.console.pid})'
        self._clients.append(client)
        return client

    def refuse_dry_run(self, command: str) -> None:
        """For a command that changes something and has no plan to show; raises UsageError."""
        if self.dry_run:
            raise UsageError(f"{command} does not support --dry-run")

    def close(self) -> None:
        """Close what the command opened."""
        for client in self._clients:
            client.close()

    def registries(self) -> RegistryAccess:
        """What the caller's home and environment say about registries."""
        from compose.usecases.registryauth import RegistryAccess

        return RegistryAccess(self.console.environ, self.console.cwd)

    def detach_keys(self, said: str = "") -> bytes:
        """What leaves a terminal: as said, as Docker's config.json has it, or ctrl-p,ctrl-q. Raises InvalidParameter."""
        from runtime.client import detachkeys

        keys = said or str(self.registries().config().get("detachKeys") or "") or detachkeys.DEFAULT
        return detachkeys.parse(keys)

    def lifecycle(self, title: str, services: Sequence[str], *, plain_warnings: bool = False) -> Lifecycle:
        """The verbs on what exists of the project: by its files, or by its name alone."""
        from compose.usecases import projects
        from compose.usecases.lifecycle import Lifecycle

        project, name = projects.project_or_name(self.request(), services)
        reporter = self.reporter(title)
        reporter.plain_warnings = plain_warnings
        return Lifecycle(self.client(), project, name, reporter, dry_run=self.dry_run)

    def hand_over(self, module: str, arguments: Sequence[str]) -> NoReturn:
        """Become another program of ours, with the same streams and environment."""
        self.console.stdout.flush()
        os.execv(sys.executable, [sys.executable, "-P", "-m", module, *arguments])

    def reporter(
        self, title: str = "Running", *, quiet_build: bool = False, build_output: TextIO | None = None
    ) -> ConsoleReporter:
        """A reporter that shows progress as --progress and --ansi ask for; builds on `build_output` or standard output."""
        from compose.cli.render.reporter import ConsoleReporter

        def build_log() -> BuildLog:
            from compose.cli.render import buildlog

            out = build_output or self.console.stdout
            mode = "quiet" if quiet_build else self._progress
            colour = self.console.colour(out)
            return buildlog.BuildLog(buildlog.renderer(mode, out, self.console.size, colour=colour))

        reporter = ConsoleReporter(self.console, lambda: self.writer(title), build_log)
        reporter.verbose = self.options.verbose
        return reporter

    def plain_reporter(self) -> ConsoleReporter:
        """A reporter for what goes on between log lines, where nothing can be drawn in place."""
        from compose.cli.render.progress import PlainWriter
        from compose.cli.render.reporter import ConsoleReporter

        if self._progress in ("json", "quiet"):
            return self.reporter()
        return ConsoleReporter(self.console, lambda: PlainWriter(self.console.stderr, notes=False))

    def silent_reporter(self) -> ConsoleReporter:
        """A reporter that only warns and asks."""
        from compose.cli.render.progress import QuietWriter
        from compose.cli.render.reporter import ConsoleReporter

        return ConsoleReporter(self.console, QuietWriter)

    def writer(self, title: str) -> Writer:
        """Where the progress lines of one plan go."""
        from compose.cli.render import progress

        out = self.console.stdout if self.flag("COMPOSE_STATUS_STDOUT") else self.console.stderr
        if self._progress == "quiet":
            return progress.QuietWriter()
        if self._progress == "json":
            return progress.JsonWriter(out)
        if self._progress == "tty" or (self._progress == "auto" and out.isatty()):
            return progress.TtyWriter(out, self.console.size, title=title, colour=self.console.colour(out))
        return progress.PlainWriter(out)

    def log_printer(
        self, *, no_color: bool = False, no_prefix: bool = False, timestamps: bool = False, split_streams: bool = False
    ) -> LogPrinter:
        """A printer of container output on our standard streams."""
        from compose.cli.render.logs import LogPrinter

        console = self.console
        console.stdout.flush()
        return LogPrinter(
            console.stdout.fileno(),
            console.stderr.fileno(),
            colour=console.colour(console.stdout) and not no_color,
            prefix=not no_prefix,
            timestamps=timestamps,
            split_streams=split_streams,
        )

    def show_progress(self, mode: str) -> None:
        """The --progress of a command that still has one of its own; raises UsageError."""
        self._progress = self._progress_mode(mode)

    def absolute(self, path: str) -> str:
        """A path of the command line, made absolute from the caller's directory."""
        return os.path.normpath(os.path.join(self.console.cwd, path))

    def _progress_mode(self, asked: str) -> str:
        ansi = self.console.ansi
        if asked == "none":
            asked = "quiet"
        if asked in ("", "auto"):
            return {"never": "plain", "always": "tty"}.get(ansi, "auto")
        if asked not in PROGRESS_MODES:
            raise UsageError(f'unsupported --progress value "{asked}"')
        if asked == "tty" and ansi == "never":
            raise UsageError("can't use --progress tty while ANSI support is disabled")
        if asked == "plain" and ansi == "always":
            raise UsageError("can't use --progress plain while ANSI support is forced")
        return asked

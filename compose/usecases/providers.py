"""Let provider programs bring services up, stop them and take them down: `PROGRAM compose up --project-name=P SERVICE`.

The client runs them, because they need the user's environment. They talk in JSON lines on standard output; what they
set (`setenv`) becomes the environment of the services that depend on theirs, before anything is compared with it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any, NamedTuple

from compose.errors import ComposeError
from compose.graph import DependencyGraph
from compose.reconcile.plan import Plan

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from compose.model.project import Project
    from compose.model.service import ServiceConfig, ServiceProviderConfig
    from compose.usecases.report import Reporter

PLUGIN_DIRECTORIES = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
"""Where Docker looks for its plugins, after the user's own."""
METADATA_TIMEOUT = 10.0
"""Seconds; a program that does not know `metadata` must not hold the command up."""


class Action(NamedTuple):
    """What a program is told to do, and the words for it."""

    command: str
    verb: str
    working: str
    done: str
    reverse: bool


UP = Action("up", "create", "Creating", "Created", reverse=False)
STOP = Action("stop", "stop", "Stopping", "Stopped", reverse=True)
DOWN = Action("down", "remove", "Removing", "Removed", reverse=True)


class Variables(NamedTuple):
    """What a program told: variables that get the service's name as a prefix, and variables as they are."""

    prefixed: dict[str, str]
    raw: dict[str, str]


def provide(project: Project, services: Iterable[str], reporter: Reporter, *, dry_run: bool = False) -> Project:
    """Bring up those of `services` that have a provider; the project with the variables that the programs set.

    Raises ComposeError, with the place in the files, for a program that is not there, fails or says what is not understood.
    """
    told = _run_all(project, services, UP, reporter, dry_run=dry_run)
    changed = dict(project.services)
    for provider, variables in told.items():
        prefix = f"{provider.upper()}_"
        for name, service in changed.items():
            if provider not in service.depends_on:
                continue
            for key, value in variables.raw.items():
                if service.environment.get(key, value) != value:
                    reporter.warn(f'provider "{provider}" overrides environment variable "{key}" in service "{name}"')
            prefixed = {prefix + key: value for key, value in variables.prefixed.items()}
            environment = {**service.environment, **prefixed, **variables.raw}
            changed[name] = service.replace(environment=environment)
    return project.replace(services=changed) if told else project


def release(project: Project, services: Iterable[str], action: Action, reporter: Reporter, *, dry_run: bool) -> None:
    """Take down (DOWN) or stop (STOP: only programs that say they can) those of `services` that have a provider."""
    _run_all(project, services, action, reporter, dry_run=dry_run)


def _run_all(
    project: Project, services: Iterable[str], action: Action, reporter: Reporter, *, dry_run: bool
) -> dict[str, Variables]:
    wanted = [name for name in services if project.services[name].provider is not None]
    if not wanted:
        return {}
    if dry_run:
        for name in wanted:
            provider = project.services[name].provider
            reporter.info(f"service:{name}, provider {provider.type if provider else ''}, {action.command}")
        return {}
    graph = DependencyGraph.of(project.services)
    order = [name for name in graph.order() if name in wanted]
    programs = _Programs(project, action, reporter)
    reporter.begin(Plan(project=project.name))
    try:
        return programs.run_all(reversed(order) if action.reverse else order, graph)
    finally:
        reporter.end()


class _Programs:
    """The programs of one command: side by side, each after those that its service has to wait for."""

    def __init__(self, project: Project, action: Action, reporter: Reporter) -> None:
        self._project = project
        self._action = action
        self._reporter = reporter
        self._running: list[subprocess.Popen[str]] = []
        self._ended = False
        self._failures: list[ComposeError] = []
        """In order of time: the first is the cause of the others."""

    def run_all(self, names: Iterable[str], graph: DependencyGraph) -> dict[str, Variables]:
        begun: dict[str, Future[Variables]] = {}
        order = list(names)
        with ThreadPoolExecutor(max_workers=len(order)) as pool:
            try:
                for name in order:
                    near = graph.dependents(name) if self._action.reverse else graph.dependencies(name)
                    begun[name] = pool.submit(self._after, [begun[each] for each in near if each in begun], name)
                wait(begun.values(), return_when=FIRST_EXCEPTION)
            finally:
                self._end()
        if self._failures:
            raise self._failures[0]
        return {name: future.result() for name, future in begun.items()}

    def _end(self) -> None:
        """One failed, or the user left: the others are told to end."""
        self._ended = True
        for process in self._running:
            process.terminate()

    def _after(self, earlier: Sequence[Future[Variables]], name: str) -> Variables:
        for future in earlier:
            future.result()
        if self._ended:
            raise ComposeError(f"{name} was not begun")
        try:
            return self._run(self._project.services[name])
        except ComposeError as error:
            self._failures.append(error)
            raise

    def _run(self, service: ServiceConfig) -> Variables:
        provider = service.provider
        assert provider is not None
        environ = self._project.environment
        try:
            program = find_program(provider.type, environ)
            known = _metadata(program, environ)
            if self._action is STOP and "stop" not in known:
                return Variables({}, {})
            arguments = options(provider, known, self._action.command)
            command = [program, "compose", f"--project-name={self._project.name}", self._action.command]
            return self._converse(service.name, [*command, *arguments, service.name])
        except ComposeError as error:
            mark = self._project.mark(f"services.{service.name}.provider")
            raise ComposeError(f"{mark}: {error.message}" if mark is not None else error.message) from error

    def _converse(self, name: str, command: list[str]) -> Variables:
        action, found = self._action, Variables({}, {})
        self._reporter.step(name, action.working)
        with tempfile.TemporaryFile("w+") as complaints:
            try:
                process = subprocess.Popen(
                    command,
                    env=self._project.environment,
                    cwd=self._project.working_dir,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=complaints,
                    text=True,
                )
            except OSError as error:
                raise ComposeError(f"provider {command[0]} cannot be run: {error.strerror}") from error
            with process:
                self._running.append(process)
                try:
                    for line in process.stdout or ():
                        self._take(name, line, found)
                except ComposeError:
                    process.terminate()
                    raise
            if process.returncode:
                complaints.seek(0)
                self._fail(name, process.returncode, complaints.read())
        self._reporter.step(name, action.done, done=True)
        return found

    def _fail(self, name: str, code: int, complaints: str) -> None:
        why = f"exit status {code}" if code > 0 else f"signal {-code}"
        self._reporter.step(name, why, failed=True)
        last = complaints.strip().rpartition("\n")[2]
        raise ComposeError(f"failed to {self._action.verb} service provider: {why}{f': {last}' if last else ''}")

    def _take(self, name: str, line: str, found: Variables) -> None:
        """One message; raises ComposeError for an `error`, and for one that is not understood."""
        if not line.strip():
            return
        try:
            message = json.loads(line)
            kind, text = str(message["type"]), str(message.get("message", ""))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ComposeError(f"invalid response from plugin: {line.strip()}") from error
        first = text.strip("\n").partition("\n")[0]
        if kind == "error":
            self._reporter.step(name, first, failed=True)
            raise ComposeError(text)
        if kind == "info":
            self._reporter.step(name, first)
        elif kind == "debug":
            self._reporter.debug(f"{name}: {text}")
        elif kind in ("setenv", "rawsetenv"):
            key, equals, value = text.partition("=")
            if not equals:
                raise ComposeError(f"invalid response from plugin: {text}")
            (found.prefixed if kind == "setenv" else found.raw)[key] = value
        else:
            raise ComposeError(f"invalid response from plugin: {kind}")


def find_program(kind: str, environ: Mapping[str, str]) -> str:
    """The path of what `provider.type` names: a plugin `docker-<type>` of Docker's, or a program on PATH."""
    if kind == "compose":
        raise ComposeError("'compose' is not a valid provider type")
    home = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME", "/"), ".docker")
    for directory in (os.path.join(home, "cli-plugins"), *PLUGIN_DIRECTORIES):
        path = os.path.join(directory, f"docker-{kind}")
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    found = shutil.which(kind, path=environ.get("PATH"))
    if found is None:
        raise ComposeError(f'exec: "{kind}": executable file not found in $PATH')
    return found


def options(provider: ServiceProviderConfig, metadata: Mapping[str, Any], command: str) -> list[str]:
    """`--name=value` of the options that the command takes; all, if the program does not tell which.

    Raises ComposeError if a required one is not given.
    """
    tells = bool(metadata.get("description")) or any(
        (metadata.get(each) or {}).get("parameters") is not None for each in ("up", "down")
    )
    taken = {str(each.get("name")): each for each in (metadata.get(command) or {}).get("parameters") or ()}
    for name, parameter in taken.items():
        if parameter.get("required") and name not in provider.options:
            raise ComposeError(f'required parameter "{name}" is missing from provider "{provider.type}" definition')
    return [
        f"--{name}={value}"
        for name, values in provider.options.items()
        if name in taken or not tells
        for value in values
    ]


def _metadata(program: str, environ: Mapping[str, str]) -> dict[str, Any]:
    """What the program says about its commands; nothing if it does not know how to."""
    try:
        done = subprocess.run(
            [program, "compose", "metadata"],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=METADATA_TIMEOUT,
            check=True,
        )
        said = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return said if isinstance(said, dict) else {}

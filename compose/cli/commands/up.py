"""`pycompose up`: create and start containers, and stay with their output unless detached."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from compose.cli.menu import Menu
    from compose.model.project import Project
    from compose.reconcile.options import ImageOptions, Recreate, UpOptions
    from compose.usecases.attached import AttachOptions
    from compose.usecases.report import LogSink
    from compose.usecases.watch import Watched

ATTACHED_ONLY = "--abort-on-container-exit, --abort-on-container-failure, --attach, --attach-dependencies or --watch"


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    abort_on_container_exit: Annotated[
        bool,
        typer.Option(
            "--abort-on-container-exit",
            help="Stops all containers if any container was stopped. Incompatible with -d",
        ),
    ] = False,
    abort_on_container_failure: Annotated[
        bool,
        typer.Option(
            "--abort-on-container-failure",
            help="Stops all containers if any container exited with failure. Incompatible with -d",
        ),
    ] = False,
    always_recreate_deps: Annotated[
        bool,
        typer.Option("--always-recreate-deps", help="Recreate dependent containers. Incompatible with --no-recreate."),
    ] = False,
    attach: Annotated[
        list[str] | None,
        typer.Option(
            "--attach",
            help="Restrict attaching to the specified services. Incompatible with --attach-dependencies.",
        ),
    ] = None,
    attach_dependencies: Annotated[
        bool,
        typer.Option("--attach-dependencies", help="Automatically attach to log output of dependent services"),
    ] = False,
    build: flags.Build = False,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Detached mode: Run containers in the background")
    ] = False,
    exit_code_from: Annotated[
        str,
        typer.Option(help="Return the exit code of the selected service container. Implies --abort-on-container-exit"),
    ] = "",
    force_recreate: flags.ForceRecreate = False,
    menu: Annotated[
        bool | None,
        typer.Option(
            "--menu/--no-menu",
            help="Enable interactive shortcuts when running attached. Incompatible with --detach. Can also be "
            "enable/disable by setting COMPOSE_MENU environment var.",
        ),
    ] = None,
    no_attach: Annotated[
        list[str] | None,
        typer.Option("--no-attach", help="Do not attach (stream logs) to the specified services"),
    ] = None,
    no_build: flags.NoBuild = False,
    no_color: flags.NoColor = False,
    no_deps: flags.NoDeps = False,
    no_log_prefix: flags.NoLogPrefix = False,
    no_recreate: flags.NoRecreate = False,
    no_start: Annotated[bool, typer.Option("--no-start", help="Don't start the services after creating them")] = False,
    pull: flags.Pull = "policy",
    quiet_build: Annotated[bool, typer.Option("--quiet-build", help="Suppress the build output")] = False,
    quiet_pull: flags.QuietPull = False,
    remove_orphans: flags.RemoveOrphans = False,
    renew_anon_volumes: Annotated[
        bool,
        typer.Option(
            "--renew-anon-volumes",
            "-V",
            help="Recreate anonymous volumes instead of retrieving data from the previous containers",
        ),
    ] = False,
    scale: flags.Scale = None,
    timeout: Annotated[
        int | None,
        typer.Option(
            "--timeout",
            "-t",
            help="Use this timeout in seconds for container shutdown when attached or when containers are "
            "already running",
        ),
    ] = None,
    timestamps: Annotated[bool, typer.Option("--timestamps", help="Show timestamps")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait for services to be running|healthy. Implies detached mode.")
    ] = False,
    wait_timeout: flags.WaitTimeout = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", "-w", help="Watch source code and rebuild/refresh containers when files are updated."),
    ] = False,
    yes: flags.Yes = False,
) -> int:
    """Create and start containers"""
    invocation = Invocation.of(ctx)
    if exit_code_from and not abort_on_container_failure:
        abort_on_container_exit = True
    attached_only = bool(
        abort_on_container_exit or abort_on_container_failure or attach or attach_dependencies or watch
    )
    _check(
        {
            (
                "--abort-on-container-failure cannot be combined with --abort-on-container-exit"
            ): abort_on_container_failure and abort_on_container_exit,
            f"--wait cannot be combined with {ATTACHED_ONLY}": wait and attached_only,
            f"--detach cannot be combined with {ATTACHED_ONLY}": detach and attached_only,
            "--build and --no-build are incompatible": build and no_build,
            "--no-build and --watch are incompatible": no_build and watch,
            "--no-recreate and --renew-anon-volumes are incompatible": renew_anon_volumes and no_recreate,
            "--force-recreate and --no-recreate are incompatible": force_recreate and no_recreate,
            "--always-recreate-deps and --no-recreate are incompatible": always_recreate_deps and no_recreate,
            "cannot combine --attach and --attach-dependencies": bool(attach) and attach_dependencies,
        }
    )
    from compose.usecases import projects
    from compose.usecases.up import Up, parse_scale

    named = tuple(services or ())
    project = projects.load_project(invocation.request(), named)
    invocation.confirm_remote(project, assume_yes=yes)
    if not project.services:
        raise ComposeError("no service selected")
    options = up_options(
        invocation,
        project,
        services=named,
        scale=parse_scale(scale or ()),
        recreate=_recreate(never=no_recreate, force=force_recreate or renew_anon_volumes),
        recreate_dependencies=_recreate(never=no_recreate, force=always_recreate_deps),
        remove_orphans=remove_orphans,
        renew_anonymous_volumes=renew_anon_volumes,
        no_deps=no_deps,
        start=not no_start,
        timeout=timeout,
        wait=wait,
        wait_timeout=wait_timeout,
        images=image_options(pull, quiet_pull=quiet_pull, build=build, no_build=no_build),
    )
    client = invocation.client()
    if detach or wait or no_start or invocation.dry_run:
        reporter = invocation.reporter(quiet_build=quiet_build)
        up_once = Up(
            client, project, reporter, dry_run=invocation.dry_run, assume_yes=yes, access=invocation.registries()
        )
        up_once.run(options)
        return 0
    from compose.usecases.attached import AttachedUp

    asked = _watched(invocation, project, named) if watch else None
    shown = attached_services(project, named, attach or (), no_attach or (), dependencies=attach_dependencies)
    interrupts = _Interrupts()
    keys = _menu(invocation, menu)
    up = AttachedUp(
        client,
        project,
        _attach_options(
            project,
            named,
            shown,
            "exit" if abort_on_container_exit else "failure" if abort_on_container_failure else "",
            exit_code_from,
        ),
        sink=_above(
            keys,
            invocation.log_printer(
                no_color=no_color, no_prefix=no_log_prefix, timestamps=timestamps, split_streams=True
            ),
        ),
        reporter=invocation.reporter(quiet_build=quiet_build),
        quiet=invocation.silent_reporter(),
        between=invocation.plain_reporter(),
        notice=_notice(invocation) if keys is None else keys.say,
        interrupts=interrupts.install,
        assume_yes=yes,
        watch=asked,
        shortcuts=keys,
        watchable=lambda: _watched(invocation, project, named),
        access=invocation.registries(),
    )
    with keys or nullcontext():
        return up.run(options)


def _menu(invocation: Invocation, asked: bool | None) -> Menu | None:
    """The shortcuts of an attached `up`: on a terminal, unless the user does not want them."""
    console = invocation.console
    wanted = asked if asked is not None else invocation.flag("COMPOSE_MENU") or not console.environ.get("COMPOSE_MENU")
    if not (wanted and console.stdin_is_terminal and console.stdout_is_terminal):
        return None
    from compose.cli.menu import Menu

    return Menu(console.stdin.fileno(), console.stdout.fileno(), colour=console.colour(console.stdout))


def _above(menu: Menu | None, sink: LogSink) -> LogSink:
    if menu is None:
        return sink
    from compose.cli.menu import AboveMenu

    return AboveMenu(sink, menu)


def _watched(invocation: Invocation, project: Project, named: tuple[str, ...]) -> Watched:
    from compose.usecases.watch import watched

    asked = watched(project, named)
    for warning in asked.warnings:
        invocation.console.warn(warning)
    return asked


def up_options(invocation: Invocation, project: Project, *, remove_orphans: bool, **options: Any) -> UpOptions:
    """Planner options that take COMPOSE_REMOVE_ORPHANS and COMPOSE_IGNORE_ORPHANS into account."""
    from compose.reconcile.options import UpOptions

    ignore = project.environment.get("COMPOSE_IGNORE_ORPHANS", "").lower() in ("1", "t", "true", "y", "yes", "on")
    if ignore and remove_orphans:
        raise UsageError("cannot combine COMPOSE_IGNORE_ORPHANS and --remove-orphans")
    return UpOptions(
        remove_orphans=remove_orphans or (not ignore and invocation.flag("COMPOSE_REMOVE_ORPHANS")),
        ignore_orphans=ignore,
        all_resources=invocation.options.all_resources,
        env_files=invocation.options.env_files,
        **options,
    )


PULL_POLICIES = frozenset({"always", "missing", "never", "build"})
SERVICES_OWN = "policy"
"""The value of --pull that leaves it to each service."""


def image_options(pull: str, *, quiet_pull: bool = False, build: bool = False, no_build: bool = False) -> ImageOptions:
    """What `--pull`, `--quiet-pull`, `--build` and `--no-build` of `up`, `create` and `run` ask for; raises UsageError."""
    from compose.reconcile.options import ImageOptions

    if pull not in PULL_POLICIES and pull not in ("", SERVICES_OWN):
        raise UsageError(f'invalid --pull option "{pull}"')
    return ImageOptions(
        pull=pull if pull in PULL_POLICIES else "",
        quiet_pull=quiet_pull,
        build="always" if build else "never" if no_build else "",
    )


def attached_services(
    project: Project, named: tuple[str, ...], attach: Any, no_attach: Any, *, dependencies: bool
) -> frozenset[str]:
    """Whose output an attached `up` shows. Raises ComposeError for a service that is not part of it."""
    if attach:
        unknown = [name for name in attach if name not in project.services]
        if unknown:
            raise ComposeError(f"cannot attach to services not included in up: {', '.join(unknown)}")
        chosen = set(attach)
    else:
        scope = project.with_selected(named, dependencies=dependencies or not named).services
        chosen = {name for name, service in scope.items() if service.attach is not False}
    return frozenset(chosen - set(no_attach))


def _attach_options(
    project: Project, named: tuple[str, ...], shown: frozenset[str], abort: str, exit_code_from: str
) -> AttachOptions:
    from compose.usecases.attached import AttachOptions

    if exit_code_from:
        project.service(exit_code_from)
    return AttachOptions(services=shown, watched=frozenset(named) or shown, abort=abort, exit_code_from=exit_code_from)


def _check(rules: dict[str, bool]) -> None:
    for message, broken in rules.items():
        if broken:
            raise UsageError(message)


def _recreate(*, never: bool, force: bool) -> Recreate:
    return "never" if never else "force" if force else "diverged"


def _notice(invocation: Invocation) -> Callable[[str], None]:
    def notice(text: str) -> None:
        invocation.console.write(f"{text}\n")
        invocation.console.stdout.flush()

    return notice


class _Interrupts:
    """Counts SIGINT and SIGTERM from the moment containers are there; before that they end the command at once."""

    def __init__(self) -> None:
        self._count = 0
        self._installed = False

    def install(self) -> int:
        """The count so far; the first call takes the signals over."""
        if not self._installed:
            import signal

            self._installed = True
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, self._handle)
        return self._count

    def _handle(self, _number: int, _frame: object) -> None:
        self._count += 1

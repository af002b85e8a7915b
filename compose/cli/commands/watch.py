"""`pycompose watch`: bring the project up and keep its containers in step with the files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation

if TYPE_CHECKING:
    from collections.abc import Callable

INTERRUPTED = 130


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    no_up: Annotated[bool, typer.Option("--no-up", help="Do not build & start services before watching")] = False,
    prune: Annotated[bool, typer.Option("--prune/--no-prune", help="Prune dangling images on rebuild")] = True,
    quiet: Annotated[bool, typer.Option("--quiet", help="Hide build output")] = False,
) -> int:
    """Watch build context for service and rebuild/refresh containers when files are updated"""
    from compose.cli.commands.up import up_options
    from compose.usecases import projects
    from compose.usecases.up import Up
    from compose.usecases.watch import Watch, watched

    invocation = Invocation.of(ctx)
    named = tuple(services or ())
    project = projects.load_project(invocation.request(), named)
    invocation.confirm_remote(project)
    asked = watched(project, named)
    for warning in asked.warnings:
        invocation.console.warn(warning)
    client = invocation.client()
    if not no_up:
        options = up_options(invocation, project, services=named, recreate_dependencies="never", remove_orphans=False)
        reporter = invocation.silent_reporter() if quiet else invocation.reporter()
        up = Up(client, project, reporter, dry_run=invocation.dry_run, access=invocation.registries())
        up.run(options)
        project = up.project
    if invocation.dry_run:
        return 0
    interrupts = interruptions()
    Watch(
        client,
        project,
        asked,
        invocation.silent_reporter(),
        notice=_notice(invocation),
        stopped=lambda: interrupts() > 0,
        access=invocation.registries(),
        prune=prune,
    ).run()
    return INTERRUPTED


def interruptions() -> Callable[[], int]:
    """Counts SIGINT and SIGTERM from now on: what has begun is finished first.

    A second SIGINT gives it up, and a third does not wait for threads that cannot be told to.
    """
    import os
    import signal

    count = 0

    def handle(number: int, _frame: object) -> None:
        nonlocal count
        count += 1
        if count > 2 and number == signal.SIGINT:
            os._exit(INTERRUPTED)
        if count > 1 and number == signal.SIGINT:
            raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)
    return lambda: count


def _notice(invocation: Invocation) -> Callable[[str], None]:
    console = invocation.console

    def notice(text: str) -> None:
        console.write(f"{text}\n")
        console.stdout.flush()

    return notice

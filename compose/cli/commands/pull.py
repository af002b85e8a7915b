"""`pycompose pull`: pull the images of services."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import UsageError

POLICIES = ("", "missing", "always")


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    ignore_buildable: Annotated[
        bool, typer.Option("--ignore-buildable", help="Ignore images that can be built")
    ] = False,
    ignore_pull_failures: Annotated[
        bool,
        typer.Option("--ignore-pull-failures", help="Pull what it can and ignores images with pull failures"),
    ] = False,
    include_deps: Annotated[
        bool, typer.Option("--include-deps", help="Also pull services declared as dependencies")
    ] = False,
    no_parallel: Annotated[
        bool, typer.Option("--no-parallel", hidden=True, help="DEPRECATED disable parallel pulling")
    ] = False,
    parallel: Annotated[
        bool, typer.Option("--parallel", hidden=True, help="DEPRECATED pull multiple images in parallel")
    ] = True,
    policy: Annotated[str, typer.Option(help='Apply pull policy ("missing"|"always")')] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Pull without printing progress information")] = False,
) -> int:
    """Pull service images"""
    if policy not in POLICIES:
        raise UsageError(f'invalid --policy option "{policy}"')
    from compose.usecases import projects
    from compose.usecases.pull import TransferOptions, Transfers

    invocation = Invocation.of(ctx)
    named = tuple(services or ())
    project = projects.load_project(invocation.request(), named)
    if no_parallel:
        invocation.console.warn("option '--no-parallel' is DEPRECATED and will be ignored.")
    options = TransferOptions(
        services=named,
        include_deps=include_deps,
        ignore_failures=ignore_pull_failures,
        ignore_buildable=ignore_buildable,
        policy=policy,
    )
    reporter = invocation.silent_reporter() if quiet else invocation.reporter("Pulling")
    Transfers(invocation.client(), project, reporter, access=invocation.registries(), dry_run=invocation.dry_run).pull(
        options
    )
    return 0

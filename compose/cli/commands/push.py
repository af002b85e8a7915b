"""`pycompose push`: push the images that services build."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    ignore_push_failures: Annotated[
        bool,
        typer.Option("--ignore-push-failures", help="Push what it can and ignores images with push failures"),
    ] = False,
    include_deps: Annotated[
        bool, typer.Option("--include-deps", help="Also push images of services declared as dependencies")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Push without printing progress information")] = False,
) -> int:
    """Push service images"""
    from compose.usecases import projects
    from compose.usecases.pull import TransferOptions, Transfers

    invocation = Invocation.of(ctx)
    named = tuple(services or ())
    project = projects.load_project(invocation.request(), named)
    options = TransferOptions(services=named, include_deps=include_deps, ignore_failures=ignore_push_failures)
    reporter = invocation.silent_reporter() if quiet else invocation.reporter("Pushing")
    Transfers(invocation.client(), project, reporter, access=invocation.registries(), dry_run=invocation.dry_run).push(
        options
    )
    return 0

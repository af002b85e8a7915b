"""`pycompose start`: start containers that exist."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for services to be running|healthy.")] = False,
    wait_timeout: Annotated[
        int | None,
        typer.Option(help="Maximum duration in seconds to wait for the project to be running|healthy"),
    ] = None,
) -> int:
    """Start services"""
    from compose.reconcile.options import StartOptions

    options = StartOptions(services=tuple(services or ()), wait=wait, wait_timeout=wait_timeout)
    Invocation.of(ctx).lifecycle("Running", services or ()).start(options)
    return 0

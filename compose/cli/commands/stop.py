"""`pycompose stop`: stop services."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None,
    timeout: Annotated[
        int | None, typer.Option("--timeout", "-t", help="Specify a shutdown timeout in seconds")
    ] = None,
) -> int:
    """Stop services"""
    from compose.reconcile.options import StopOptions

    options = StopOptions(services=tuple(services or ()), timeout=timeout)
    Invocation.of(ctx).lifecycle("Stopping", services or ()).stop(options)
    return 0

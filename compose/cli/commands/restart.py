"""`pycompose restart`: restart containers as they are."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None,
    no_deps: Annotated[bool, typer.Option("--no-deps", help="Don't restart dependent services")] = False,
    timeout: Annotated[
        int | None, typer.Option("--timeout", "-t", help="Specify a shutdown timeout in seconds")
    ] = None,
) -> int:
    """Restart service containers"""
    from compose.reconcile.options import RestartOptions

    options = RestartOptions(services=tuple(services or ()), timeout=timeout, no_deps=no_deps)
    Invocation.of(ctx).lifecycle("Restarting", services or ()).restart(options)
    return 0

"""`pycompose restart`: restart containers as they are."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    no_deps: Annotated[bool, typer.Option("--no-deps", help="Don't restart dependent services")] = False,
    timeout: flags.StopTimeout = None,
) -> int:
    """Restart service containers"""
    from compose.reconcile.options import RestartOptions

    options = RestartOptions(services=tuple(services or ()), timeout=timeout, no_deps=no_deps)
    Invocation.of(ctx).lifecycle("Restarting", services or ()).restart(options)
    return 0

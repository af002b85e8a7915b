"""`pycompose kill`: send a signal to containers."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    remove_orphans: flags.RemoveOrphans = False,
    signal: Annotated[str, typer.Option("--signal", "-s", help="SIGNAL to send to the container")] = "SIGKILL",
) -> int:
    """Force stop service containers"""
    from compose.reconcile.options import KillOptions

    invocation = Invocation.of(ctx)
    options = KillOptions(
        services=tuple(services or ()),
        signal=signal,
        remove_orphans=remove_orphans or invocation.flag("COMPOSE_REMOVE_ORPHANS"),
    )
    invocation.lifecycle("Killing", services or (), plain_warnings=True).kill(options)
    return 0

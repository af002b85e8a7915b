"""`pycompose engine stop`: stop the engine."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from runtime.client import autostart
from runtime.errors import Unavailable


def run(
    ctx: typer.Context,
    containers: Annotated[
        bool, typer.Option("--containers", help="Stop all running containers too, instead of refusing")
    ] = False,
) -> int:
    """Stop the engine"""
    invocation = Invocation.of(ctx)
    client = invocation.client(start=False)
    try:
        client.stop(containers=containers)
    except Unavailable as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        invocation.console.error("engine is not running")
        return 0
    autostart.wait_for_end(client.paths)
    return 0

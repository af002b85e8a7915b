"""`pycompose engine stop`: stop the engine."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import UsageError
from runtime.client import autostart
from runtime.errors import Unavailable

GRACE = 3600.0
"""Seconds: containers have their own times to stop in, and a service manager its own limit for all of it."""


def run(
    ctx: typer.Context,
    containers: Annotated[
        bool, typer.Option("--containers", help="Stop all running containers too, instead of refusing")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="With --containers: the next engine starts again what has a restart policy"),
    ] = False,
) -> int:
    """Stop the engine"""
    if resume and not containers:
        raise UsageError("--resume needs --containers")
    invocation = Invocation.of(ctx)
    client = invocation.client(start=False)
    try:
        client.stop(containers=containers, resume=resume)
    except Unavailable as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        invocation.console.error("engine is not running")
        return 0
    autostart.wait_for_end(client.paths, GRACE if containers else autostart.START_TIMEOUT)
    return 0

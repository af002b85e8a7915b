"""`pycompose start`: start containers that exist."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    wait: Annotated[bool, typer.Option("--wait", help="Wait for services to be running|healthy.")] = False,
    wait_timeout: flags.WaitTimeout = None,
) -> int:
    """Start services"""
    from compose.reconcile.options import StartOptions

    options = StartOptions(services=tuple(services or ()), wait=wait, wait_timeout=wait_timeout)
    Invocation.of(ctx).lifecycle("Running", services or ()).start(options)
    return 0

"""`pycompose stop`: stop services."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    timeout: flags.StopTimeout = None,
) -> int:
    """Stop services"""
    from compose.reconcile.options import StopOptions

    options = StopOptions(services=tuple(services or ()), timeout=timeout)
    Invocation.of(ctx).lifecycle("Stopping", services or ()).stop(options)
    return 0

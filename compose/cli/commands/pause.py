"""`pycompose pause`: freeze running containers."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(ctx: typer.Context, services: flags.Services = None) -> int:
    """Pause services"""
    Invocation.of(ctx).lifecycle("Running", services or ()).pause(services or ())
    return 0

"""`pycompose unpause`: let frozen containers go on."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(ctx: typer.Context, services: flags.Services = None) -> int:
    """Unpause services"""
    Invocation.of(ctx).lifecycle("Running", services or ()).unpause(services or ())
    return 0

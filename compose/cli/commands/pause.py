"""`pycompose pause`: freeze running containers."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context, services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None
) -> int:
    """Pause services"""
    Invocation.of(ctx).lifecycle("Running", services or ()).pause(services or ())
    return 0

"""`pycompose unpause`: let frozen containers go on."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context, services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None
) -> int:
    """Unpause services"""
    Invocation.of(ctx).lifecycle("Running", services or ()).unpause(services or ())
    return 0

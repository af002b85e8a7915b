"""`pycompose config`: print the project as it is understood."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None,
) -> int:
    """Parse, resolve and render compose file in canonical format"""
    Invocation.of(ctx)
    return 0

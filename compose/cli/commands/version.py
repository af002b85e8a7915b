"""`pycompose version`: say which version this is."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from runtime.client.client import VERSION


def run(
    ctx: typer.Context,
    format: Annotated[
        str, typer.Option("--format", "-f", help="Format the output. Values: [pretty | json]. (Default: pretty)")
    ] = "",
    short: Annotated[bool, typer.Option("--short", help="Shows only the version number")] = False,
) -> int:
    """Show the pycompose version information"""
    if short:
        text = VERSION
    elif format == "json":
        text = f'{{"version":"v{VERSION}"}}'
    else:
        text = f"pycompose version v{VERSION}"
    Invocation.of(ctx).console.write(f"{text}\n")
    return 0

"""`pycompose engine df`: show what images, containers, volumes and build cache take on disk."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    format: flags.ListFormat = "",
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show detailed information on space usage")] = False,
) -> int:
    """Show disk usage

    Sizes are those of file contents; a layer that several images share counts once in the sum.
    """
    from compose.cli.render import df_format

    invocation = Invocation.of(ctx)
    usage = invocation.client().disk_usage()
    write = invocation.console.write
    write(df_format.verbose(usage, format, time.time()) if verbose else df_format.render(usage, format))
    return 0

"""`pycompose image ls`: list the images of the engine."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    pattern: Annotated[str, typer.Argument(metavar="[REPOSITORY[:TAG]]")] = "",
    all: Annotated[
        bool, typer.Option("--all", "-a", hidden=True, help="No effect: there are no intermediate images here")
    ] = False,
    digests: Annotated[bool, typer.Option("--digests", help="Show digests")] = False,
    filter: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            "-f",
            help="Filter output: dangling=true|false, label=..., reference=..., before=, since=, until=",
        ),
    ] = None,
    format: flags.ListFormat = "",
    no_trunc: flags.NoTrunc = False,
    quiet: flags.QuietIds = False,
) -> int:
    """List images"""
    from compose.cli.moments import seconds
    from compose.cli.render import images_format
    from compose.usecases.imagelist import listed

    invocation = Invocation.of(ctx)
    now = time.time()
    found = listed(invocation.client(), filter or (), lambda text: seconds(text, now), pattern)
    rows = [row for image in found for row in images_format.rows_of(image, now, truncate=not no_trunc)]
    if quiet and format in ("", "table"):
        invocation.console.write("".join(f"{row['ID']}\n" for row in rows))
        return 0
    invocation.console.write(images_format.render(rows, format, digests=digests))
    return 0

"""`pycompose image history`: show how an image was made."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(metavar="IMAGE")],
    format: flags.ListFormat = "",
    human: Annotated[
        bool, typer.Option("--human/--no-human", "-H", help="Print sizes and dates in human readable format")
    ] = True,
    no_trunc: flags.NoTrunc = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only show image IDs")] = False,
) -> int:
    """Show the history of an image"""
    from compose.cli.render import history_format

    invocation = Invocation.of(ctx)
    found = invocation.client().image(image)
    entries = found.get("History") or []
    template = "{{.ID}}" if quiet else format
    text = history_format.render(entries, template, time.time(), truncate=not no_trunc, human=human)
    invocation.console.write(text)
    return 0

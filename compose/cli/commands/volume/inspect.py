"""`pycompose volume inspect`: describe volumes in Docker's form."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    volumes: Annotated[list[str], typer.Argument(metavar="VOLUME [VOLUME...]")],
    format: Annotated[
        str, typer.Option("--format", "-f", help="Format output using a custom template: 'json' or a Go template")
    ] = "",
) -> int:
    """Display detailed information on one or more volumes"""
    from compose.cli import objects
    from compose.usecases.volumes import described

    invocation = Invocation.of(ctx)
    client = invocation.client()
    return objects.inspect(invocation, volumes, format, lambda name: described(client.volume(name)))

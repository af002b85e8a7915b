"""`pycompose image inspect`: show all that is known about images."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    images: Annotated[list[str], typer.Argument(metavar="IMAGE [IMAGE...]")],
    format: Annotated[
        str, typer.Option("--format", "-f", help="Format output using a custom template: 'json' or a Go template")
    ] = "",
) -> int:
    """Display detailed information on one or more images"""
    from compose.cli import objects
    from compose.usecases.images import described

    invocation = Invocation.of(ctx)
    client = invocation.client()
    return objects.inspect(invocation, images, format, lambda name: described(client.image(name)))

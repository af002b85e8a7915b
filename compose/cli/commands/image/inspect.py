"""`pycompose image inspect`: show all that is known about images."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    images: flags.Images,
    format: flags.InspectFormat = "",
) -> int:
    """Display detailed information on one or more images"""
    from compose.cli import objects
    from compose.usecases.images import described

    invocation = Invocation.of(ctx)
    client = invocation.client()
    return objects.inspect(invocation, images, format, lambda name: described(client.image(name)))

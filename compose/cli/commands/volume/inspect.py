"""`pycompose volume inspect`: describe volumes in Docker's form."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    volumes: flags.Volumes,
    format: flags.InspectFormat = "",
) -> int:
    """Display detailed information on one or more volumes"""
    from compose.cli import objects
    from compose.usecases.volumes import described

    invocation = Invocation.of(ctx)
    client = invocation.client()
    return objects.inspect(invocation, volumes, format, lambda name: described(client.volume(name)))

"""`pycompose network inspect`: describe networks in Docker's form."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    networks: flags.Networks,
    format: flags.InspectFormat = "",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Accepted as Docker does; more to tell is only of Swarm")
    ] = False,
) -> int:
    """Display detailed information on one or more networks"""
    from compose.cli import objects
    from compose.usecases.networks import described

    invocation = Invocation.of(ctx)
    client = invocation.client()
    return objects.inspect(invocation, networks, format, lambda name: described(client.network(name)))

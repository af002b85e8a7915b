"""`pycompose network disconnect`: take a container off a network."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError


def run(
    ctx: typer.Context,
    network: Annotated[str, typer.Argument(metavar="NETWORK")],
    container: Annotated[str, typer.Argument(metavar="CONTAINER")],
    force: Annotated[
        bool, typer.Option("--force", "-f", help="Force the container to disconnect from a network")
    ] = False,
) -> int:
    """Disconnect a container from a network"""
    from compose.cli import objects
    from compose.usecases import networks, outcomes

    invocation = Invocation.of(ctx)
    done = objects.carry_out(invocation, networks.disconnection(invocation.client(), network, container))
    if done and not outcomes.the_only(done).changed:
        raise ComposeError(f"container {container} is not connected to the network {network}")
    return 0

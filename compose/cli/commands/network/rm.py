"""`pycompose network rm`: remove networks that no running container is on."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    networks: flags.Networks,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not error if the network does not exist")] = False,
) -> int:
    """Remove one or more networks"""
    from compose.cli import objects
    from compose.usecases.networks import removal

    return objects.remove(
        Invocation.of(ctx), removal(networks), "network {} not found", force=force, tell_missing=False
    )

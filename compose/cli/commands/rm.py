"""`pycompose rm`: remove stopped containers."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    all: Annotated[bool, typer.Option("--all", "-a", hidden=True, help="Deprecated - no effect")] = False,
    force: Annotated[bool, typer.Option("--force", "-f", help="Don't ask to confirm removal")] = False,
    stop: Annotated[
        bool, typer.Option("--stop", "-s", help="Stop the containers, if required, before removing")
    ] = False,
    volumes: Annotated[
        bool, typer.Option("--volumes", "-v", help="Remove any anonymous volumes attached to containers")
    ] = False,
) -> int:
    """Removes stopped service containers

    By default, anonymous volumes attached to containers will not be removed. You can override this with -v.
    Any data which is not in a volume will be lost.
    """
    from compose.reconcile.options import RemoveOptions

    options = RemoveOptions(services=tuple(services or ()), stop=stop, force=force, volumes=volumes)
    Invocation.of(ctx).lifecycle("Removing", services or (), plain_warnings=True).remove(options)
    return 0

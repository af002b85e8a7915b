"""`pycompose volume rm`: remove volumes that no container mounts."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    volumes: flags.Volumes,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not mind volumes that are not there")] = False,
) -> int:
    """Remove one or more volumes

    You cannot remove a volume that is in use by a container.
    """
    from compose.cli import objects
    from compose.usecases.volumes import removal

    return objects.remove(
        Invocation.of(ctx), removal(volumes), "get {}: no such volume", force=force, tell_missing=True
    )

"""`pycompose volume prune`: remove volumes that no container mounts."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation

WARNING = "WARNING! This will remove {} local volumes not used by at least one container."


def run(
    ctx: typer.Context,
    all: Annotated[
        bool, typer.Option("--all", "-a", help="Remove all unused volumes, not just anonymous ones")
    ] = False,
    filter: Annotated[
        list[str] | None, typer.Option("--filter", help='Provide filter values (e.g. "label=<label>")')
    ] = None,
    force: flags.Force = False,
) -> int:
    """Remove unused local volumes"""
    from compose.cli import objects
    from compose.cli.render import humanise
    from compose.usecases.volumes import Unused

    invocation = Invocation.of(ctx)
    console = invocation.console
    unused = Unused(invocation.client(), filter or (), all=all)
    if invocation.dry_run:
        console.write(str(unused.plan()))
        return 0
    kind = "all" if unused.everything else "anonymous"
    if not force and not console.confirm(WARNING.format(kind)):
        return 0
    names, reclaimed = unused.remove()
    objects.tell_deleted(invocation, "Volumes", names)
    console.write(f"Total reclaimed space: {humanise.size(reclaimed)}\n")
    return 0

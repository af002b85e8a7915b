"""`pycompose image prune`: delete images that no container uses."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError

FILTERS = ("label", "label!", "until")
QUESTIONS = {
    False: "WARNING! This will remove all dangling images.",
    True: "WARNING! This will remove all images without at least one container associated to them.",
}


def run(
    ctx: typer.Context,
    all: Annotated[bool, typer.Option("--all", "-a", help="Remove all unused images, not just dangling ones")] = False,
    filter: flags.PruneFilter = None,
    force: flags.Force = False,
) -> int:
    """Remove unused images"""
    from compose.cli import objects
    from compose.cli.moments import seconds
    from compose.cli.render import humanise
    from compose.usecases.filters import Filters

    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("image prune")
    console = invocation.console
    filters = Filters(filter or (), FILTERS)
    until = [seconds(text, time.time()) for text in filters.values("until")]
    if len(until) > 1:
        raise ComposeError("more than one until filter specified")
    if not force and not console.confirm(QUESTIONS[all]):
        return 0
    report = invocation.client().prune_images(
        all=all, labels=filters.values("label"), not_labels=filters.values("label!"), until=until[0] if until else None
    )
    deleted = (f"{what.lower()}: {name}" for line in report["ImagesDeleted"] for what, name in line.items())
    objects.tell_deleted(invocation, "Images", deleted)
    console.write(f"Total reclaimed space: {humanise.size(report['SpaceReclaimed'])}\n")
    return 0

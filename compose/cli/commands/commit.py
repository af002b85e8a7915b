"""`pycompose commit`: make an image of a service's container."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    service: flags.Service,
    reference: Annotated[str, typer.Argument(metavar="[REPOSITORY[:TAG]]")] = "",
    author: Annotated[
        str, typer.Option("--author", "-a", help='Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")')
    ] = "",
    change: Annotated[
        list[str] | None, typer.Option("--change", "-c", help="Apply Dockerfile instruction to the created image")
    ] = None,
    index: flags.Index = 0,
    message: Annotated[str, typer.Option("--message", "-m", help="Commit message")] = "",
    pause: Annotated[bool, typer.Option("--pause/--no-pause", "-p", help="Pause container during commit")] = True,
) -> int:
    """Create a new image from a service container's changes"""
    from compose.usecases import containers, projects, wholefiles

    invocation = Invocation.of(ctx)
    name = projects.project_name(invocation.request())
    client = invocation.client()
    container = containers.name_of(containers.specified(client, name, service, index, all=True))
    if invocation.dry_run:
        invocation.console.write(f"container {container}: commit {reference}\n".replace(" \n", "\n"))
        return 0
    args = {"Reference": reference, "Author": author, "Message": message, "Changes": change or [], "Pause": pause}
    identity = wholefiles.commit(client, container, args)
    invocation.console.write(f"{identity}\n")
    return 0

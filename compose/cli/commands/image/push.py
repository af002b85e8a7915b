"""`pycompose image push`: push one image to its registry."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG]")],
    all_tags: Annotated[
        bool, typer.Option("--all-tags", "-a", help="Push all tags of an image to the repository")
    ] = False,
    quiet: flags.QuietTransfer = False,
) -> int:
    """Upload an image to a registry"""
    from compose.cli.render.imagetransfer import TransferReporter
    from compose.usecases.transfer import push

    invocation = Invocation.of(ctx)
    reporter = TransferReporter(invocation, quiet=quiet, push=True)
    push(
        invocation.client(),
        name,
        reporter,
        access=invocation.registries(),
        all_tags=all_tags,
        dry_run=invocation.dry_run,
    )
    return 0

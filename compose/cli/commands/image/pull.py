"""`pycompose image pull`: pull one image from its registry."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME[:TAG|@DIGEST]")],
    all_tags: Annotated[
        bool, typer.Option("--all-tags", "-a", help="Download all tagged images in the repository")
    ] = False,
    platform: Annotated[str, typer.Option(help="Set platform if server is multi-platform capable")] = "",
    quiet: flags.QuietTransfer = False,
) -> int:
    """Download an image from a registry"""
    from compose.cli.render.imagetransfer import TransferReporter
    from compose.usecases.transfer import pull

    invocation = Invocation.of(ctx)
    reporter = TransferReporter(invocation, quiet=quiet)
    pull(
        invocation.client(),
        name,
        reporter,
        access=invocation.registries(),
        platform=platform or invocation.console.environ.get("DOCKER_DEFAULT_PLATFORM", ""),
        all_tags=all_tags,
        dry_run=invocation.dry_run,
    )
    return 0

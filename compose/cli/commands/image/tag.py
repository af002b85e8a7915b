"""`pycompose image tag`: give an image one more name."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE_IMAGE[:TAG]")],
    target: Annotated[str, typer.Argument(metavar="TARGET_IMAGE[:TAG]")],
) -> int:
    """Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"""
    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("image tag")
    invocation.client().tag_image(source, target)
    return 0

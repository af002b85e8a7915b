"""`pycompose image export`: write the files of an image, all layers over each other, as a tar archive."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError


def run(
    ctx: typer.Context,
    image: Annotated[str, typer.Argument(metavar="IMAGE")],
    output: flags.Output = "",
) -> int:
    """Export an image's filesystem as a tar archive"""
    from compose.usecases import wholefiles

    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("image export")
    console = invocation.console
    if not output and console.stdout_is_terminal:
        raise ComposeError("output option is required when exporting to terminal")
    if output:
        wholefiles.export_file(invocation.client(), {"Image": image}, invocation.absolute(output))
        return 0
    console.stdout.flush()
    wholefiles.export_stream(invocation.client(), {"Image": image}, console.stdout.buffer)
    return 0

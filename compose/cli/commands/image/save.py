"""`pycompose image save`: write images to an archive."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError


def run(
    ctx: typer.Context,
    images: flags.Images,
    output: flags.Output = "",
) -> int:
    """Save one or more images to a tar archive (streamed to STDOUT by default)

    The archive is what `docker load` reads and an OCI image layout in one. A name without a tag stands for all its tags.
    """
    from compose.usecases import imagearchive

    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("image save")
    console = invocation.console
    if not output and console.stdout_is_terminal:
        raise ComposeError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if output:
        imagearchive.save_file(invocation.client(), images, invocation.absolute(output), output)
        return 0
    console.stdout.flush()
    imagearchive.save(invocation.client(), images, console.stdout.fileno())
    return 0

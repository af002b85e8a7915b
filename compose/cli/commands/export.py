"""`pycompose export`: write the files of a service's container as a tar archive."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError


def run(
    ctx: typer.Context,
    service: flags.Service,
    index: flags.Index = 0,
    output: flags.Output = "",
) -> int:
    """Export a service container's filesystem as a tar archive"""
    from compose.usecases import containers, projects, wholefiles

    invocation = Invocation.of(ctx)
    console = invocation.console
    if not output and console.stdout_is_terminal:
        raise ComposeError("output option is required when exporting to terminal")
    name = projects.project_name(invocation.request())
    client = invocation.client()
    what = {"Container": containers.name_of(containers.specified(client, name, service, index, all=True))}
    if invocation.dry_run:
        console.write(f"container {what['Container']}: export\n")
    elif output:
        wholefiles.export_file(client, what, invocation.absolute(output))
    else:
        console.stdout.flush()
        wholefiles.export_stream(client, what, console.stdout.buffer)
    return 0

"""`pycompose cp`: copy files between a service's container and this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SERVICE:SRC_PATH | SRC_PATH | -")],
    destination: Annotated[str, typer.Argument(metavar="DEST_PATH | SERVICE:DEST_PATH | -")],
    all: Annotated[bool, typer.Option("--all", help="Include containers created by the run command")] = False,
    archive: Annotated[
        bool, typer.Option("--archive", "-a", help="Archive mode (copy all uid/gid information)")
    ] = False,
    follow_link: Annotated[
        bool, typer.Option("--follow-link", "-L", help="Always follow symbol link in SRC_PATH")
    ] = False,
    index: flags.Index = 0,
) -> int:
    """Copy files/folders between a service container and the local filesystem"""
    from compose.cli.render import verbs
    from compose.usecases import copy, projects

    invocation = Invocation.of(ctx)
    console = invocation.console
    wanted = copy.direction(source, destination)
    local = wanted.destination if wanted.is_out else wanted.source
    if local != copy.STREAM:
        local = _absolute(console.cwd, local)
    settled = wanted._replace(destination=local) if wanted.is_out else wanted._replace(source=local)
    request = copy.CopyRequest(direction=settled, index=index, one_offs=all, archive=archive, follow=follow_link)
    name = projects.project_name(invocation.request())
    if invocation.dry_run:
        console.write(f"copy {source} to {destination}\n")
        return 0
    writer = invocation.writer("Copying")
    console.stdout.flush()

    def told(container: str, subject: str, *, done: bool) -> None:
        status, text = (verbs.DONE, "Copied") if done else (verbs.WORKING, "Copying")
        writer.line(verbs.Line(container, status, text, subject=subject))

    job = copy.Copy(
        invocation.client(),
        request,
        stdin=console.stdin.fileno(),
        stdout=console.stdout.fileno(),
        warn=console.warn,
    )
    writer.start()
    try:
        job.run(name, (wanted.source, wanted.destination), told)
    finally:
        writer.stop()
    return 0


def _absolute(cwd: str, path: str) -> str:
    """From the caller's directory; a slash or a dot at the end means something and stays."""
    plain = os.path.normpath(os.path.join(cwd, path))
    if path.endswith("/."):
        return f"{plain.rstrip('/')}/."
    if path in (".", ".."):
        return f"{plain.rstrip('/')}/."
    return f"{plain.rstrip('/')}/" if path.endswith("/") else plain

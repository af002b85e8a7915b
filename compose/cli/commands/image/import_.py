"""`pycompose image import`: make an image of a root file system."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError


def run(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="TAR|DIRECTORY", help="The root file system; - is standard input")],
    reference: Annotated[str, typer.Argument(metavar="NAME[:TAG]")],
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--change", "-c", help="Apply a Dockerfile instruction to the created image (CMD, ENV, USER, ...)"
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the image's id only")] = False,
) -> int:
    """Make an image of a root file system (tar archive or directory)"""
    from compose.usecases.images import import_image

    invocation = Invocation.of(ctx)
    path = f"/proc/{os.getpid()}/fd/0" if source == "-" else invocation.absolute(source)
    if source != "-" and not os.path.exists(path):
        raise ComposeError(f"open {source}: no such file or directory")

    def progress(text: str) -> None:
        if not quiet:
            invocation.console.stderr.write(f"{text}\n")
            invocation.console.stderr.flush()

    identity = import_image(invocation.client(), path, reference, change or (), progress)
    invocation.console.write(f"{identity}\n")
    return 0

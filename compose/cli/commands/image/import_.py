"""`pycompose image import`: make an image of a root file system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compose.cli.invocation import Invocation

if TYPE_CHECKING:
    from typing import Any

STDIN = "-"


def run(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(metavar="TAR|DIRECTORY", help="The root file system; - is standard input")],
    reference: Annotated[str, typer.Argument(metavar="[REPOSITORY[:TAG]]")] = "",
    change: Annotated[
        list[str] | None,
        typer.Option(
            "--change", "-c", help="Apply a Dockerfile instruction to the created image (CMD, ENV, USER, ...)"
        ),
    ] = None,
    message: Annotated[str, typer.Option("--message", "-m", help="Set commit message for imported image")] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the image's id only")] = False,
) -> int:
    """Make an image of a root file system (tar archive or directory)"""
    from compose.cli.render.transfer import TransferLine
    from compose.usecases import imagearchive

    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("image import")
    console = invocation.console
    line = TransferLine(console.stderr, shown=console.stderr_is_terminal and not quiet and console.ansi != "never")

    def told(event: dict[str, Any]) -> None:
        if event["status"] == "progress":
            line.progress(event)
        elif event["status"] == "warning":
            line.clear()
            console.warn(event["text"])

    fd = console.stdin.fileno() if source == STDIN else None
    try:
        with imagearchive.Source(invocation.absolute(source), source, fd) as opened:
            identity = imagearchive.import_image(invocation.client(), opened, reference, change or (), message, told)
    finally:
        line.clear()
    console.write(f"{identity}\n")
    return 0

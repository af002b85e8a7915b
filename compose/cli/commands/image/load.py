"""`pycompose image load`: bring in images from an archive."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any


def run(
    ctx: typer.Context,
    input: Annotated[
        str,
        typer.Option(
            "--input", "-i", help="Read from tar archive file (or OCI image layout directory), instead of STDIN"
        ),
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Suppress the load output")] = False,
) -> int:
    """Load an image from a tar archive or STDIN

    Archives of `docker save` and OCI image layouts are understood, compressed or not.
    """
    from compose.cli.render.transfer import TransferLine
    from compose.usecases import imagearchive

    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("image load")
    console = invocation.console
    if not input and console.stdin_is_terminal:
        raise ComposeError("requested load from stdin, but stdin is empty")
    line = TransferLine(console.stderr, shown=console.stderr_is_terminal and not quiet and console.ansi != "never")

    def told(event: dict[str, Any]) -> None:
        if event["status"] == "progress":
            line.progress(event)
        elif event["status"] == "loaded":
            line.clear()
            console.write("".join(f"{text}\n" for text in lines_of(event)))
            console.stdout.flush()

    try:
        with imagearchive.Source(
            invocation.absolute(input), input or "-", None if input else console.stdin.fileno()
        ) as source:
            imagearchive.load(invocation.client(), source, told)
    finally:
        line.clear()
    return 0


def lines_of(loaded: dict[str, Any]) -> Iterator[str]:
    """What Docker prints of an image that was loaded: its names, and who lost them."""
    for tag in loaded["Tags"]:
        if tag in loaded["Replaced"]:
            owner = loaded["Replaced"][tag]
            yield f"The image {tag} already exists, renaming the old one with ID {owner} to empty string"
        yield f"Loaded image: {tag}"
    if not loaded["Tags"]:
        yield f"Loaded image ID: {loaded['Id']}"

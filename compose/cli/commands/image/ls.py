"""`pycompose image ls`: list the images of the engine."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from compose.cli.invocation import Invocation
from compose.errors import UsageError

HEADER = ("REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE")


def run(
    ctx: typer.Context,
    format: Annotated[str, typer.Option(help="Format the output. Values: [table | json]")] = "table",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only display IDs")] = False,
) -> int:
    """List images"""
    if format not in ("", "table", "json"):
        raise UsageError(f'format value "{format}" could not be parsed: parsing failed')
    invocation = Invocation.of(ctx)
    found = invocation.client().images()
    write = invocation.console.write
    rows = sorted(row for image in found for row in rows_of(image, time.time()))
    if quiet:
        write("".join(f"{identity}\n" for identity in dict.fromkeys(row[2] for row in rows)))
    elif format == "json":
        from compose.cli.render.gotemplate import to_json

        keys = ("Repository", "Tag", "ID", "CreatedSince", "Size")
        write("".join(to_json(dict(zip(keys, row, strict=True))) + "\n" for row in rows))
    else:
        from compose.cli.render.table import table

        write(table([HEADER, *rows]))
    return 0


def rows_of(image: dict[str, Any], now: float) -> list[tuple[str, ...]]:
    """A row for each name of an image, as `docker image ls` has it."""
    from compose.cli.render import humanise
    from compose.usecases.images import split_reference

    created = humanise.parse_time(str(image.get("Created") or ""))
    ago = f"{humanise.duration(now - created)} ago" if created is not None else "N/A"
    identity = str(image.get("Id", "")).removeprefix("sha256:")[:12]
    size = humanise.size(int(image.get("Size") or 0), 3)
    names = [split_reference(tag) for tag in image.get("RepoTags") or []] or [("<none>", "<none>")]
    return [(repository, tag, identity, ago, size) for repository, tag in names]

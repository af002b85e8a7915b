"""`pycompose images`: list the images that a project's containers use."""

from __future__ import annotations

import time
from typing import Any

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import UsageError

HEADER = ("CONTAINER", "REPOSITORY", "TAG", "PLATFORM", "IMAGE ID", "SIZE", "CREATED")


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    format: flags.TableOrJson = "table",
    quiet: flags.QuietIds = False,
) -> int:
    """List images used by the created containers"""
    if format not in ("", "table", "json"):
        raise UsageError(f'format value "{format}" could not be parsed: parsing failed')
    from compose.usecases import projects
    from compose.usecases.images import used_images

    invocation = Invocation.of(ctx)
    name = projects.project_name(invocation.request())
    found = used_images(invocation.client(), name, services or ())
    write = invocation.console.write
    if quiet:
        ids = dict.fromkeys(row["ID"].partition(":")[2] or row["ID"] for row in found)
        write("".join(f"{identity}\n" for identity in ids))
    elif format == "json":
        from compose.cli.render.gotemplate import to_json

        write(to_json(found) + "\n")
    else:
        from compose.cli.render.table import COMPOSE_MIN_WIDTH, table

        write(table([HEADER, *(_row(row, time.time()) for row in found)], min_width=COMPOSE_MIN_WIDTH))
    return 0


def _row(row: dict[str, Any], now: float) -> tuple[str, ...]:
    from compose.cli.render import humanise

    created = humanise.parse_time(row["LastTagTime"])
    return (
        row["ContainerName"],
        row["Repository"] or "<none>",
        row["Tag"] or "<none>",
        row["Platform"],
        row["ID"].removeprefix("sha256:")[:12],
        humanise.size(row["Size"], 3),
        f"{humanise.duration(now - created)} ago" if created is not None else "N/A",
    )

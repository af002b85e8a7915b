"""`pycompose volume ls`: list volumes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation

DEFAULT = "table {{.Driver}}\t{{.Name}}"
HEADERS = {"Driver": "DRIVER", "Name": "VOLUME NAME"}
UNKNOWN = "N/A"


def run(
    ctx: typer.Context,
    filter: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help='Provide filter values (e.g. "dangling=true")')
    ] = None,
    format: flags.ListFormat = "",
    quiet: flags.QuietVolumes = False,
) -> int:
    """List volumes"""
    from compose.cli import objects
    from compose.cli.render import listing
    from compose.usecases.volumes import listed

    invocation = Invocation.of(ctx)
    found = sorted(listed(invocation.client(), filter or ()), key=lambda volume: listing.natural(volume["Name"]))
    return objects.listing(invocation, map(fields, found), "Name", (DEFAULT, HEADERS), format=format, quiet=quiet)


def fields(volume: dict[str, Any]) -> dict[str, str]:
    """Everything a template may name; what Docker knows only of cluster volumes or by `system df` is N/A."""
    from compose.cli.render import listing

    return {
        "Availability": UNKNOWN,
        "Driver": volume["Driver"],
        "Group": UNKNOWN,
        "Labels": listing.labels(volume["Labels"]),
        "Links": UNKNOWN,
        "Mountpoint": volume["Mountpoint"],
        "Name": volume["Name"],
        "Scope": volume["Scope"],
        "Size": UNKNOWN,
        "Status": UNKNOWN,
    }

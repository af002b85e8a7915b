"""`pycompose volume ls`: list volumes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from compose.cli.invocation import Invocation

DEFAULT = "table {{.Driver}}\t{{.Name}}"
HEADERS = {"Driver": "DRIVER", "Name": "VOLUME NAME"}
UNKNOWN = "N/A"


def run(
    ctx: typer.Context,
    filter: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help='Provide filter values (e.g. "dangling=true")')
    ] = None,
    format: Annotated[
        str, typer.Option("--format", help="Format output: 'table', 'table TEMPLATE', 'json' or a Go template")
    ] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only display volume names")] = False,
) -> int:
    """List volumes"""
    from compose.cli.render import listing
    from compose.usecases.volumes import listed

    invocation = Invocation.of(ctx)
    found = sorted(listed(invocation.client(), filter or ()), key=lambda volume: listing.natural(volume["Name"]))
    if quiet and not format:
        invocation.console.write("".join(f"{volume['Name']}\n" for volume in found))
        return 0
    invocation.console.write(listing.render(map(fields, found), format, DEFAULT, HEADERS))
    return 0


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

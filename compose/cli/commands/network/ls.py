"""`pycompose network ls`: list networks, the predefined ones too."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation

DEFAULT = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}"
HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
SHORT_ID = 12


def run(
    ctx: typer.Context,
    filter: Annotated[
        list[str] | None, typer.Option("--filter", "-f", help='Provide filter values (e.g. "driver=bridge")')
    ] = None,
    format: flags.ListFormat = "",
    no_trunc: Annotated[bool, typer.Option("--no-trunc", help="Do not truncate the output")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only display network IDs")] = False,
) -> int:
    """List networks"""
    from compose.cli import objects
    from compose.cli.render import listing
    from compose.usecases.networks import listed

    invocation = Invocation.of(ctx)
    found = sorted(listed(invocation.client(), filter or ()), key=lambda network: listing.natural(network["Name"]))
    rows = [_fields(network, truncate=not no_trunc) for network in found]
    return objects.listing(invocation, rows, "ID", (DEFAULT, HEADERS), format=format, quiet=quiet)


def _fields(network: dict[str, Any], *, truncate: bool) -> dict[str, str]:
    """Everything a template may name."""
    from compose.cli.render import listing

    return {
        "CreatedAt": _go_time(network["Created"]),
        "Driver": network["Driver"],
        "ID": network["Id"][:SHORT_ID] if truncate else network["Id"],
        "IPv6": str(network["EnableIPv6"]).lower(),
        "Internal": str(network["Internal"]).lower(),
        "Labels": listing.labels(network["Labels"]),
        "Name": network["Name"],
        "Scope": network["Scope"],
    }


def _go_time(text: str) -> str:
    """`2026-01-02T15:04:05.120000000Z` as Go prints it: `2026-01-02 15:04:05.12 +0000 UTC`."""
    date, _, clock = text.removesuffix("Z").partition("T")
    whole, dot, fraction = clock.partition(".")
    fraction = fraction.rstrip("0")
    return f"{date} {whole}{dot if fraction else ''}{fraction} +0000 UTC"

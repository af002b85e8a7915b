"""`pycompose stats`: show what containers use of the machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from compose.cli.invocation import Invocation
from runtime.errors import NotFound

if TYPE_CHECKING:
    from runtime.client.client import Client

INTERVAL = 1.0
"""Seconds between two readings."""
FIRST_INTERVAL = 0.5
"""Seconds to the second reading, before which there is no rate to show."""
CLEAR = "\x1b[J"
HOME = "\x1b[H"
CLEAR_LINE = "\x1b[K"


def run(
    ctx: typer.Context,
    service: Annotated[str, typer.Argument(metavar="[SERVICE]")] = "",
    all: Annotated[bool, typer.Option("--all", "-a", help="Show all containers (default shows just running)")] = False,
    format: Annotated[
        str,
        typer.Option(help="Format output: 'table', 'table TEMPLATE', 'json' or TEMPLATE (a Go template)"),
    ] = "",
    no_stream: Annotated[
        bool, typer.Option("--no-stream", help="Disable streaming stats and only pull the first result")
    ] = False,
    no_trunc: Annotated[bool, typer.Option("--no-trunc", help="Do not truncate output")] = False,
) -> int:
    """Display a live stream of container(s) resource usage statistics"""
    from compose.cli.render import stats_format
    from compose.usecases import projects

    invocation = Invocation.of(ctx)
    console = invocation.console
    name = projects.project_name(invocation.request())
    client = invocation.client()
    before = _read(client, name, service, all=all)
    redraw = not no_stream and console.stdout_is_terminal
    pause = FIRST_INTERVAL
    while True:
        time.sleep(pause if before or not no_stream else 0.0)
        now = _read(client, name, service, all=all)
        rows = [stats_format.row(before.get(key), each, truncate=not no_trunc) for key, each in now.items()]
        text = stats_format.render(rows, format)
        console.write(HOME + text.replace("\n", f"{CLEAR_LINE}\n") + CLEAR if redraw else text)
        console.stdout.flush()
        if no_stream:
            return 0
        before, pause = now, INTERVAL


def _read(client: Client, project: str, service: str, *, all: bool) -> dict[str, dict[str, Any]]:
    """A reading of each container by its id, in the order of names."""
    from compose.usecases import containers

    found = {}
    for container in containers.of_project(client, project, [service] if service else (), all=all, one_offs=True):
        try:
            found[container["Id"]] = client.stats(container["Id"])
        except NotFound:  # removed since it was listed
            continue
    return found

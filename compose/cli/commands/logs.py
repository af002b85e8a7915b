"""`pycompose logs`: show what containers wrote."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import UsageError


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Follow log output")] = False,
    index: Annotated[int, typer.Option(help="index of the container if service has multiple replicas")] = 0,
    no_color: flags.NoColor = False,
    no_log_prefix: flags.NoLogPrefix = False,
    since: Annotated[
        str,
        typer.Option(
            help="Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)"
        ),
    ] = "",
    tail: Annotated[
        str,
        typer.Option("--tail", "-n", help="Number of lines to show from the end of the logs for each container"),
    ] = "all",
    timestamps: Annotated[bool, typer.Option("--timestamps", "-t", help="Show timestamps")] = False,
    until: Annotated[
        str,
        typer.Option(
            help="Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)"
        ),
    ] = "",
) -> int:
    """View output from containers"""
    named = tuple(services or ())
    if index and len(named) != 1:
        raise UsageError("--index requires one service to be selected")
    from compose.cli.moments import moment
    from compose.usecases import projects
    from compose.usecases.logs import LogsRequest, logs

    now = time.time()
    request = LogsRequest(
        services=named,
        index=index,
        follow=follow,
        tail=parse_tail(tail),
        since=moment(since, now),
        until=moment(until, now),
    )
    invocation = Invocation.of(ctx)
    project, name = projects.project_or_name(invocation.request(), named)
    sink = invocation.log_printer(no_color=no_color, no_prefix=no_log_prefix, timestamps=timestamps)
    logs(invocation.client(), project, name, request, sink, warn=invocation.console.warn)
    return 0


def parse_tail(text: str) -> int | None:
    """A number of lines; None for all. Docker takes what is no number, or negative, for all too."""
    return int(text) if text.isascii() and text.isdigit() else None

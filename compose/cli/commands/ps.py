"""`pycompose ps`: list containers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import UsageError

if TYPE_CHECKING:
    from runtime.wire.containers import ContainerInspect


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    all: Annotated[
        bool,
        typer.Option("--all", "-a", help="Show all stopped containers (including those created by the run command)"),
    ] = False,
    filter: Annotated[str, typer.Option(help="Filter services by a property (supported filters: status)")] = "",
    format: Annotated[
        str,
        typer.Option(
            help="Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE (a Go template)"
        ),
    ] = "table",
    no_trunc: flags.NoTrunc = False,
    orphans: Annotated[
        bool,
        typer.Option("--orphans/--no-orphans", help="Include orphaned services (not declared by project)"),
    ] = True,
    quiet: flags.QuietIds = False,
    show_services: Annotated[bool, typer.Option("--services", help="Display services")] = False,
    status: Annotated[
        list[str] | None,
        typer.Option(
            "--status",
            help="Filter services by status. Values: [paused | restarting | removing | running | dead | created | exited]",
        ),
    ] = None,
) -> int:
    """List containers"""
    statuses = [*(status or ()), *_parse_filter(filter)]
    invocation = Invocation.of(ctx)
    from compose.usecases import containers, projects

    project, name = projects.project_or_name(invocation.request(), services or ())
    wanted = tuple(services or ())
    containers.check_services(project, wanted)
    if project is not None and not wanted and not orphans:
        wanted = tuple(project.services)
    everything = all or bool(statuses)
    found = containers.of_project(invocation.client(), name, wanted, all=everything, one_offs=all)
    if statuses:
        found = [container for container in found if containers.status_of(container) in statuses]
    _show(invocation, found, format, quiet=quiet, show_services=show_services, truncate=not no_trunc)
    return 0


def _show(
    invocation: Invocation,
    found: list[ContainerInspect],
    format: str,
    *,
    quiet: bool,
    show_services: bool,
    truncate: bool,
) -> None:
    from compose.usecases import containers

    console = invocation.console
    if quiet:
        console.write("".join(f"{container['Id']}\n" for container in found))
        return
    if show_services:
        names = dict.fromkeys(containers.service_of(container) for container in found)
        console.write("\n".join(names) + "\n")
        return
    from compose.cli.render import ps_format

    console.write(ps_format.render(found, format, time.time(), truncate=truncate))


def _parse_filter(filter: str) -> list[str]:
    if not filter:
        return []
    key, equals, value = filter.partition("=")
    if not equals:
        raise UsageError("arguments to --filter should be in form KEY=VAL")
    if key != "status":
        raise UsageError(f"unknown filter {key}")
    return [value]

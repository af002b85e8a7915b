"""`pycompose volumes`: list a project's volumes."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None,
    format: Annotated[
        str, typer.Option("--format", help="Format output: 'table', 'table TEMPLATE', 'json' or a Go template")
    ] = "table",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only display volume names")] = False,
) -> int:
    """List volumes"""
    from compose.cli.commands.volume import ls
    from compose.cli.render import listing
    from compose.usecases import containers, projects
    from compose.usecases.volumes import of_project

    invocation = Invocation.of(ctx)
    wanted = tuple(services or ())
    project, name = projects.project_or_name(invocation.request(), wanted)
    containers.check_services(project, wanted)
    found = sorted(of_project(invocation.client(), name, wanted), key=lambda volume: listing.natural(volume["Name"]))
    if quiet:
        invocation.console.write("".join(f"{volume['Name']}\n" for volume in found))
        return 0
    invocation.console.write(listing.render(map(ls.fields, found), format, ls.DEFAULT, ls.HEADERS))
    return 0

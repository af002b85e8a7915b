"""`pycompose volumes`: list a project's volumes."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    format: flags.ListFormat = "table",
    quiet: flags.QuietVolumes = False,
) -> int:
    """List volumes"""
    from compose.cli import objects
    from compose.cli.commands.volume import ls
    from compose.cli.render import listing
    from compose.usecases import containers, projects
    from compose.usecases.volumes import of_project

    invocation = Invocation.of(ctx)
    wanted = tuple(services or ())
    project, name = projects.project_or_name(invocation.request(), wanted)
    containers.check_services(project, wanted)
    found = sorted(of_project(invocation.client(), name, wanted), key=lambda volume: listing.natural(volume["Name"]))
    columns = (ls.DEFAULT, ls.HEADERS)
    shown = "" if quiet else format
    return objects.listing(invocation, map(ls.fields, found), "Name", columns, format=shown, quiet=quiet)

"""`pycompose ls`: list projects."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import UsageError


def run(
    ctx: typer.Context,
    all: Annotated[bool, typer.Option("--all", "-a", help="Show all stopped Compose projects")] = False,
    filter: Annotated[
        list[str] | None, typer.Option("--filter", help="Filter output based on conditions provided")
    ] = None,
    format: flags.TableOrJson = "table",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Only display project names")] = False,
) -> int:
    """List running compose projects"""
    from compose.cli.render.table import COMPOSE_MIN_WIDTH, table
    from compose.usecases.ls import list_projects

    names = _name_filters(filter or ())
    invocation = Invocation.of(ctx)
    found = [
        project
        for project in list_projects(invocation.client(), all=all)
        if not names or any(name in project.name for name in names)
    ]
    if quiet:
        invocation.console.write("".join(f"{project.name}\n" for project in found))
    elif format == "json":
        from compose.cli.render.gotemplate import to_json

        rows = [
            {"Name": project.name, "Status": project.status, "ConfigFiles": project.config_files} for project in found
        ]
        invocation.console.write(to_json(rows) + "\n")
    elif format in ("", "table"):
        rows_text = [(project.name, project.status, project.config_files) for project in found]
        invocation.console.write(table([("NAME", "STATUS", "CONFIG FILES"), *rows_text], min_width=COMPOSE_MIN_WIDTH))
    else:
        raise UsageError(f'format value "{format}" could not be parsed: parsing failed')
    return 0


def _name_filters(filters: list[str] | tuple[str, ...]) -> list[str]:
    names = []
    for each in filters:
        key, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f'invalid argument "{each}" for "--filter" flag: invalid filter')
        if key != "name":
            raise UsageError(f"invalid filter '{key}'")
        names.append(value)
    return names

"""`pycompose top`: show the processes of running containers."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation

MIN_WIDTH = 4
PADDING = 2


def run(
    ctx: typer.Context, services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICES...]")] = None
) -> int:
    """Display the running processes"""
    from compose.cli.render.table import table
    from compose.reconcile import labels
    from compose.usecases import containers, projects

    invocation = Invocation.of(ctx)
    name = projects.project_name(invocation.request())
    client = invocation.client()
    titles: dict[str, None] = {"SERVICE": None, "#": None}
    rows: list[dict[str, str]] = []
    for container in containers.of_project(client, name, services or (), one_offs=True):
        found = client.top(container["Id"])
        titles.update(dict.fromkeys(title for title in found["Titles"] if title != "CMD"))
        number = containers.labels_of(container).get(labels.NUMBER, "")
        head = {"SERVICE": containers.service_of(container), "#": number}
        rows += [{**head, **dict(zip(found["Titles"], process, strict=False))} for process in found["Processes"]]
    if rows:
        columns = [*titles, "CMD"]
        cells = [[row.get(title, "-") for title in columns] for row in rows]
        invocation.console.write(table([columns, *cells], min_width=MIN_WIDTH, padding=PADDING))
    return 0

"""`pycompose wait`: block until containers of services stop."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    services: Annotated[list[str], typer.Argument(metavar="SERVICE [SERVICE...]")],
    down_project: Annotated[
        bool, typer.Option("--down-project", help="Drops project when the first container stops")
    ] = False,
) -> int:
    """Block until containers of all (or specified) services stop."""
    from compose.reconcile.options import DownOptions
    from compose.usecases import projects
    from compose.usecases.wait import wait
    from runtime.client.client import Client

    invocation = Invocation.of(ctx)
    _, name = projects.project_or_name(invocation.request(), services)
    client = invocation.client()
    taken_down: list[bool] = []

    def ended(container: str, code: int) -> None:
        invocation.console.write(f'container "{container}" exited with status code {code}\n')
        invocation.console.stdout.flush()
        if down_project and not taken_down:
            taken_down.append(True)
            invocation.lifecycle("Running", ()).down(DownOptions())

    return wait(Client(client.paths), name, services, ended)

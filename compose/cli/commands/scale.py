"""`pycompose scale`: give services another number of containers."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.commands.up import up_options
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    pairs: Annotated[list[str], typer.Argument(metavar="[SERVICE=REPLICAS...]")],
    no_deps: flags.NoDeps = False,
) -> int:
    """Scale services"""
    from compose.usecases import projects
    from compose.usecases.up import Up, parse_scale

    replicas = parse_scale(pairs, option=False)
    invocation = Invocation.of(ctx)
    named = tuple(sorted(replicas))
    project = projects.load_project(invocation.request(), named)
    invocation.confirm_remote(project)
    options = up_options(invocation, project, remove_orphans=False, services=named, scale=replicas, no_deps=no_deps)
    Up(
        invocation.client(), project, invocation.reporter(), dry_run=invocation.dry_run, access=invocation.registries()
    ).run(options)
    return 0

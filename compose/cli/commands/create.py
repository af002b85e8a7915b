"""`pycompose create`: create containers and start none."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.commands.up import image_options, up_options
from compose.cli.invocation import Invocation
from compose.errors import UsageError


def run(
    ctx: typer.Context,
    services: flags.Services = None,
    build: flags.Build = False,
    force_recreate: flags.ForceRecreate = False,
    no_build: flags.NoBuild = False,
    no_recreate: flags.NoRecreate = False,
    pull: Annotated[
        str, typer.Option(help='Pull image before running ("always"|"missing"|"never"|"build")')
    ] = "policy",
    quiet_pull: flags.QuietPull = False,
    remove_orphans: flags.RemoveOrphans = False,
    scale: flags.Scale = None,
    yes: flags.Yes = False,
) -> int:
    """Creates containers for a service"""
    if build and no_build:
        raise UsageError("--build and --no-build are incompatible")
    if force_recreate and no_recreate:
        raise UsageError("--force-recreate and --no-recreate are incompatible")
    from compose.usecases import projects
    from compose.usecases.up import Up, parse_scale

    invocation = Invocation.of(ctx)
    named = tuple(services or ())
    project = projects.load_project(invocation.request(), named)
    invocation.confirm_remote(project, assume_yes=yes)
    options = up_options(
        invocation,
        project,
        remove_orphans=remove_orphans,
        services=named,
        start=False,
        recreate="never" if no_recreate else "force" if force_recreate else "diverged",
        recreate_dependencies="never" if no_recreate else "diverged",
        scale=parse_scale(scale or ()),
        images=image_options(pull, quiet_pull=quiet_pull, build=build, no_build=no_build),
    )
    up = Up(
        invocation.client(),
        project,
        invocation.reporter(),
        dry_run=invocation.dry_run,
        assume_yes=yes,
        access=invocation.registries(),
    )
    up.run(options)
    return 0

"""`pycompose create`: create containers and start none."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.commands.up import image_options, up_options
from compose.cli.invocation import Invocation
from compose.errors import UsageError


def run(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")] = None,
    build: Annotated[bool, typer.Option("--build", help="Build images before starting containers")] = False,
    force_recreate: Annotated[
        bool,
        typer.Option(
            "--force-recreate", help="Recreate containers even if their configuration and image haven't changed"
        ),
    ] = False,
    no_build: Annotated[bool, typer.Option("--no-build", help="Don't build an image, even if it's policy")] = False,
    no_recreate: Annotated[
        bool,
        typer.Option(
            "--no-recreate",
            help="If containers already exist, don't recreate them. Incompatible with --force-recreate.",
        ),
    ] = False,
    pull: Annotated[
        str, typer.Option(help='Pull image before running ("always"|"missing"|"never"|"build")')
    ] = "policy",
    quiet_pull: Annotated[
        bool, typer.Option("--quiet-pull", help="Pull without printing progress information")
    ] = False,
    remove_orphans: Annotated[
        bool,
        typer.Option("--remove-orphans", help="Remove containers for services not defined in the Compose file"),
    ] = False,
    scale: Annotated[
        list[str] | None,
        typer.Option(
            "--scale",
            help="Scale SERVICE to NUM instances. Overrides the `scale` setting in the Compose file if present.",
        ),
    ] = None,
    yes: Annotated[
        bool,
        typer.Option("--yes", "-y", help='Assume "yes" as answer to all prompts and run non-interactively'),
    ] = False,
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

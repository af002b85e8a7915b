"""`pycompose down`: stop and remove containers and networks."""

from __future__ import annotations

from typing import Annotated, Literal, cast

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import UsageError


def run(
    ctx: typer.Context,
    services: Annotated[list[str] | None, typer.Argument(metavar="[SERVICES]")] = None,
    remove_orphans: flags.RemoveOrphans = False,
    rmi: Annotated[
        str,
        typer.Option(
            help='Remove images used by services. "local" remove only images that don\'t have a custom tag ("local"|"all")'
        ),
    ] = "",
    timeout: flags.StopTimeout = None,
    volumes: Annotated[
        bool,
        typer.Option(
            "--volumes",
            "-v",
            help='Remove named volumes declared in the "volumes" section of the Compose file and anonymous volumes '
            "attached to containers",
        ),
    ] = False,
) -> int:
    """Stop and remove containers, networks"""
    if rmi not in ("", "local", "all"):
        raise UsageError(f'invalid value for --rmi: "{rmi}"')
    from compose.reconcile.options import DownOptions

    invocation = Invocation.of(ctx)
    invocation.lifecycle("Running", services or ()).down(
        DownOptions(
            services=tuple(services or ()),
            remove_orphans=remove_orphans or invocation.flag("COMPOSE_REMOVE_ORPHANS"),
            images=cast("Literal['', 'local', 'all']", rmi),
            timeout=timeout,
            volumes=volumes,
        )
    )
    return 0

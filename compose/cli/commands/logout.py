"""`pycompose logout`: forget the credentials for a registry."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(ctx: typer.Context, server: Annotated[str, typer.Argument(metavar="[SERVER]")] = "") -> int:
    """Log out from a registry

    If no server is specified, it is Docker Hub.
    """
    from compose.usecases.login import log_out, registry_name
    from compose.usecases.registryauth import store_key

    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("logout")
    registry = registry_name(server)
    invocation.console.write(f"Removing login credentials for {store_key(registry)}\n")
    log_out(invocation.registries(), registry)
    return 0

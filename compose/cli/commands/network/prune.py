"""`pycompose network prune`: remove networks that no container is on."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError

WARNING = "WARNING! This will remove all custom networks not used by at least one container."


def run(
    ctx: typer.Context,
    filter: Annotated[
        list[str] | None, typer.Option("--filter", help='Provide filter values (e.g. "until=<timestamp>")')
    ] = None,
    force: Annotated[bool, typer.Option("--force", "-f", help="Do not prompt for confirmation")] = False,
) -> int:
    """Remove all unused networks"""
    from compose.cli import objects
    from compose.usecases.networks import removal, unused

    invocation = Invocation.of(ctx)
    console = invocation.console
    plan = removal(unused(invocation.client(), filter or (), _moment), "unused")
    if not (force or invocation.dry_run) and not console.confirm(WARNING):
        return 0
    done = objects.carry_out(invocation, plan)
    gone = [str(each.operation.args["Name"]) for each in done if each.changed]
    if gone:
        console.write("Deleted Networks:\n" + "".join(f"{name}\n" for name in gone) + "\n")
    return 0


def _moment(text: str) -> str:
    from compose.cli.moments import moment

    try:
        return moment(text, time.time())
    except UsageError:
        raise ComposeError(f'failed to parse value as time or duration: "{text}"') from None

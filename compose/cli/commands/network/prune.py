"""`pycompose network prune`: remove networks that no container is on."""

from __future__ import annotations

import time

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError

WARNING = "WARNING! This will remove all custom networks not used by at least one container."


def run(
    ctx: typer.Context,
    filter: flags.PruneFilter = None,
    force: flags.Force = False,
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
    objects.tell_deleted(invocation, "Networks", (str(each.operation.args["Name"]) for each in done if each.changed))
    return 0


def _moment(text: str) -> str:
    from compose.cli.moments import moment

    try:
        return moment(text, time.time())
    except UsageError:
        raise ComposeError(f'failed to parse value as time or duration: "{text}"') from None

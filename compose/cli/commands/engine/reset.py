"""`pycompose engine reset`: remove everything that the engine ever put on this machine, also when it is broken."""

from __future__ import annotations

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation

DECLINED = 1
INCOMPLETE = 1


def run(
    ctx: typer.Context,
    force: flags.Force = False,
) -> int:
    """Remove everything that the engine ever put on this machine

    Containers, networks, volumes with all their data, images, firewall rules, interfaces, cgroups, and the engine's own
    directories. It works without an engine, and where its data is damaged; what is not this engine's is left alone.

    Example: PYCOMPOSE_ROOT=/srv/try pycompose engine reset --force
    """
    from compose.usecases import reset

    invocation = Invocation.of(ctx)
    console = invocation.console
    client = invocation.client(start=False)
    found = reset.inventory(client)
    if reset.is_empty(found):
        console.write(f"nothing to remove: no engine ever ran in {client.paths.root}\n")
        return 0
    lines = "".join(f"  {kind:<12} {text}\n" for kind, text in reset.describe(found))
    steps = reset.plan(client)
    if invocation.dry_run:
        console.write(lines + str(steps))
        return 0
    warning = f"WARNING! This will remove everything of the engine in {client.paths.root}:"
    if force:
        console.write(f"{warning}\n{lines}")
    elif not console.confirm(f"{warning}\n{lines.rstrip()}"):
        console.error("nothing was removed: confirm with y, or use --force")
        return DECLINED
    problems = reset.reset(client, steps, invocation.reporter("Resetting"))
    for mounted in found["left"]:
        console.warn(f"{mounted} is left alone: somebody else mounted it there")
    for problem in problems:
        console.error(problem)
    return INCOMPLETE if problems else 0

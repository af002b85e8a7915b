"""`pycompose image rm`: take names from images and delete images."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    images: flags.Images,
    force: Annotated[bool, typer.Option("--force", "-f", help="Force removal of the image")] = False,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", hidden=True, help="No effect: images have no untagged parents here")
    ] = False,
) -> int:
    """Remove one or more images

    A name is taken away; the image goes with its last one. By ID all its names go.
    """
    from compose.usecases import outcomes
    from compose.usecases.images import removal

    invocation = Invocation.of(ctx)
    console = invocation.console
    plan = removal(images, force=force)
    if invocation.dry_run:
        console.write(str(plan))
        return 0
    missing: list[str] = []
    failed: list[str] = []
    for outcome in outcomes.submit(invocation.client(), plan):
        lines = outcome.result.get("Report") or ()
        console.write("".join(f"{what}: {name}\n" for line in lines for what, name in line.items()))
        if outcome.error is not None:
            failed.append(outcome.error.message)
        elif not outcome.changed:
            missing.append(str(outcome.result["Missing"]))
    for message in [*missing, *failed]:
        console.error(message)
    return 1 if failed or (missing and not force) else 0

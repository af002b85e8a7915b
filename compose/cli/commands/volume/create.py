"""`pycompose volume create`: make a volume, or leave the one of that name as it is."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError


def run(
    ctx: typer.Context,
    volume: Annotated[str, typer.Argument(metavar="[VOLUME]")] = "",
    driver: Annotated[str, typer.Option("--driver", "-d", help="Specify volume driver name")] = "local",
    label: Annotated[list[str] | None, typer.Option("--label", help="Set metadata for a volume")] = None,
    opt: flags.DriverOptions = None,
    name: Annotated[str, typer.Option("--name", hidden=True)] = "",
) -> int:
    """Create a volume"""
    from compose.cli import objects
    from compose.usecases import outcomes, volumes

    if name and volume:
        raise ComposeError(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        )
    options = dict(text.partition("=")[::2] for text in opt or ())
    plan = volumes.creation(volume or name, driver, options, objects.pairs(label, "label"))
    invocation = Invocation.of(ctx)
    done = objects.carry_out(invocation, plan)
    if done:
        invocation.console.write(f"{outcomes.the_only(done).result.get('Name', '')}\n")
    return 0

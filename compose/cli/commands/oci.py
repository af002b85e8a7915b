"""`pycompose oci`: hand over to the runtime's own program, which needs no engine."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(ctx: typer.Context, arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGS...]")] = None) -> int:
    """Run an OCI runtime verb (create, start, state, kill, delete)

    A verb has options of its own: pycompose oci VERB --help
    """
    return Invocation.of(ctx).hand_over("runtime.oci", arguments or ())

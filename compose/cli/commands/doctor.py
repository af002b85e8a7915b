"""`pycompose doctor`: hand over to the runtime's own program, which needs no engine."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation


def run(ctx: typer.Context, arguments: Annotated[list[str] | None, typer.Argument(metavar="[ARGS...]")] = None) -> int:
    """Check what this machine offers to the runtime"""
    return Invocation.of(ctx).hand_over("runtime.doctor", arguments or ())

"""`pycompose engine start`: start the engine, and with it what restart policies bring back; for a unit at boot."""

from __future__ import annotations

import typer

from compose.cli.invocation import Invocation


def run(ctx: typer.Context) -> int:
    """Start the engine if it does not run, and what restart policies bring back"""
    Invocation.of(ctx).client()
    return 0

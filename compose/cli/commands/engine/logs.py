"""`pycompose engine logs`: show the engine's own log, whether it runs or not."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError
from runtime.errors import Unavailable


def run(
    ctx: typer.Context,
    tail: Annotated[str, typer.Option("--tail", "-n", help="Number of lines to show from the end of the log")] = "all",
) -> int:
    """Show the engine's own log"""
    from compose.cli.commands.logs import parse_tail

    invocation = Invocation.of(ctx)
    client = invocation.client(start=False)
    lines = parse_tail(tail)
    try:
        text = client.engine_logs(lines)
    except Unavailable:
        try:
            with open(client.paths.engine_log, encoding="utf-8", errors="replace") as file:
                found = file.readlines()
        except OSError as error:
            raise ComposeError(f"engine log {client.paths.engine_log}: {(error.strerror or '').lower()}") from error
        text = "".join(found if lines is None else found[len(found) - min(lines, len(found)) :])
    invocation.console.write(text if text.endswith("\n") or not text else f"{text}\n")
    return 0

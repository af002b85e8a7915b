"""`pycompose engine status`: show whether the engine runs and what it holds; never starts it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError
from runtime.errors import Unavailable

NOT_RUNNING = 1


def run(
    ctx: typer.Context,
    format: Annotated[str, typer.Option(help="Format the output. Values: [pretty | json]")] = "pretty",
) -> int:
    """Show whether the engine runs and what it holds"""
    if format not in ("pretty", "json"):
        raise UsageError(f'format value "{format}" could not be parsed: parsing failed')
    invocation = Invocation.of(ctx)
    client = invocation.client(start=False)
    try:
        status = client.status()
    except Unavailable as error:
        if isinstance(error.__cause__, PermissionError):
            raise
        raise ComposeError(error.message, exit_code=NOT_RUNNING) from error
    if format == "json":
        from compose.cli.render.gotemplate import to_json

        invocation.console.write(to_json(status) + "\n")
        return 0
    invocation.console.write("".join(f"{name + ':':<12} {value}\n" for name, value in _lines(status)))
    return 0


def _lines(status: dict[str, Any]) -> list[tuple[str, object]]:
    containers = status.get("Containers") or {}
    found: list[tuple[str, object]] = [
        ("Engine", f"running, version {status.get('Version')} (protocol {status.get('Protocol')})"),
        ("Process", f"{status.get('Pid')}, zygote {status.get('Zygote')}"),
        ("Started", status.get("StartedAt", "")),
        ("Data", status.get("Root", "")),
        ("Runtime", status.get("Run", "")),
        ("Containers", f"{containers.get('running', 0)} running, {containers.get('total', 0)} in all"),
        ("Networks", status.get("Networks", 0)),
        ("Volumes", status.get("Volumes", 0)),
        ("Images", status.get("Images", 0)),
    ]
    if status.get("IdleExit") is not None:
        found.append(("Idle exit", f"in {status['IdleExit']:.0f} seconds"))
    return found

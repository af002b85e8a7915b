"""`pycompose port`: print where a port of a service is published."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError

MAX_PORT = 65535


def run(
    ctx: typer.Context,
    service: flags.Service,
    private_port: Annotated[str, typer.Argument(metavar="PRIVATE_PORT")],
    index: flags.Index = 0,
    protocol: Annotated[str, typer.Option(help="tcp or udp")] = "tcp",
) -> int:
    """Print the public port for a port binding"""
    if not (private_port.isascii() and private_port.isdigit() and int(private_port) <= MAX_PORT):
        raise UsageError(f'invalid port "{private_port}": a number up to {MAX_PORT} is expected')
    from compose.cli.render.ps_format import publishers_of
    from compose.usecases import containers, projects

    invocation = Invocation.of(ctx)
    name = projects.project_name(invocation.request())
    container = containers.specified(invocation.client(), name, service, index)
    wanted = (int(private_port), protocol.lower())
    published = [each for each in publishers_of(container) if each["PublishedPort"]]
    for each in published:
        if (each["TargetPort"], each["Protocol"]) == wanted:
            host = f"[{each['URL']}]" if ":" in each["URL"] else each["URL"]
            invocation.console.write(f"{host}:{each['PublishedPort']}\n")
            return 0
    there = ", ".join(f"{each['TargetPort']}/{each['Protocol']}" for each in published)
    raise ComposeError(
        f"no port {wanted[0]}/{wanted[1]} for container {containers.name_of(container)}: {there or 'none is published'}"
    )

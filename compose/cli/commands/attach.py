"""`pycompose attach`: attach to a service's running container."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    service: flags.Service,
    detach_keys: Annotated[
        str, typer.Option("--detach-keys", help="Override the key sequence for detaching from a container.")
    ] = "",
    index: flags.Index = 0,
    no_stdin: Annotated[bool, typer.Option("--no-stdin", help="Do not attach STDIN")] = False,
    sig_proxy: Annotated[
        bool, typer.Option("--sig-proxy/--no-sig-proxy", help="Proxy all received signals to the process")
    ] = True,
) -> int:
    """Attach local standard input, output, and error streams to a service's running container"""
    from compose.usecases import projects
    from compose.usecases.attach import AttachRequest, attach

    invocation = Invocation.of(ctx)
    console = invocation.console
    request = AttachRequest(
        service=service,
        index=index,
        stdin=not no_stdin,
        pass_signals=sig_proxy,
        detach_keys=invocation.detach_keys(detach_keys),
        is_terminal=console.stdin_is_terminal,
    )
    name = projects.project_name(invocation.request())
    console.stdout.flush()
    return attach(
        invocation.client(),
        name,
        request,
        stdin=console.stdin.fileno(),
        stdout=console.stdout.fileno(),
        stderr=console.stderr.fileno(),
    )

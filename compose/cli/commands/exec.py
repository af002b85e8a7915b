"""`pycompose exec`: run a command in a running container."""

from __future__ import annotations

from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.invocation import Invocation


def run(
    ctx: typer.Context,
    service: flags.Service,
    command: Annotated[list[str], typer.Argument(metavar="COMMAND [ARGS...]")],
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Detached mode: Run command in the background")
    ] = False,
    env: flags.Environment = None,
    index: flags.Index = 0,
    interactive: Annotated[
        bool,
        typer.Option("--interactive/--no-interactive", "-i", hidden=True, help="Keep STDIN open even if not attached"),
    ] = True,
    no_tty: Annotated[
        bool,
        typer.Option(
            "--no-tty",
            "--no-TTY",
            "-T",
            help="Disable pseudo-TTY allocation. By default `pycompose exec` allocates a TTY.",
        ),
    ] = False,
    privileged: Annotated[bool, typer.Option("--privileged", help="Give extended privileges to the process")] = False,
    tty: flags.Tty = True,
    user: Annotated[str, typer.Option("--user", "-u", help="Run the command as this user")] = "",
    workdir: Annotated[str, typer.Option("--workdir", "-w", help="Path to workdir directory for this command")] = "",
) -> int:
    """Execute a command in a running container"""
    from compose.usecases import exec as use_case
    from compose.usecases import projects
    from runtime.client import terminal

    invocation = Invocation.of(ctx)
    console = invocation.console
    name = projects.project_name(invocation.request())
    use_tty = tty and not no_tty and not detach and console.stdout_is_terminal and console.stdin_is_terminal
    request = use_case.ExecRequest(
        service=service,
        command=tuple(command),
        index=index,
        environment=use_case.resolve_environment(env or (), console.environ),
        user=user,
        working_dir=workdir,
        privileged=privileged,
        tty=use_tty,
        detach_keys=invocation.detach_keys() if use_tty else b"",
        detach=detach,
        interactive=interactive,
        size=terminal.size(console.stdout.fileno()) if use_tty else None,
    )
    console.stdout.flush()
    return use_case.execute(
        invocation.client(),
        name,
        request,
        stdin=console.stdin.fileno(),
        stdout=console.stdout.fileno(),
        stderr=console.stderr.fileno(),
    )

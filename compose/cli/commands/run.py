"""`pycompose run`: run a one-off command on a service."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from compose.cli import flags
from compose.cli.commands.up import image_options
from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError


def run(
    ctx: typer.Context,
    service: flags.Service,
    command: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND] [ARGS...]")] = None,
    build: Annotated[bool, typer.Option("--build", help="Build image before starting container")] = False,
    cap_add: Annotated[list[str] | None, typer.Option("--cap-add", help="Add Linux capabilities")] = None,
    cap_drop: Annotated[list[str] | None, typer.Option("--cap-drop", help="Drop Linux capabilities")] = None,
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Run container in background and print container ID")
    ] = False,
    entrypoint: Annotated[str | None, typer.Option(help="Override the entrypoint of the image")] = None,
    env: flags.Environment = None,
    env_from_file: Annotated[
        list[str] | None, typer.Option("--env-from-file", help="Set environment variables from file")
    ] = None,
    interactive: Annotated[
        bool, typer.Option("--interactive/--no-interactive", "-i", help="Keep STDIN open even if not attached")
    ] = True,
    label: Annotated[list[str] | None, typer.Option("--label", "-l", help="Add or override a label")] = None,
    name: Annotated[str, typer.Option(help="Assign a name to the container")] = "",
    no_tty: Annotated[
        bool, typer.Option("--no-tty", "--no-TTY", "-T", help="Disable pseudo-TTY allocation (default: auto-detected)")
    ] = False,
    no_deps: flags.NoDeps = False,
    publish: Annotated[
        list[str] | None, typer.Option("--publish", "-p", help="Publish a container's port(s) to the host")
    ] = None,
    pull: flags.Pull = "policy",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Don't print anything to STDOUT")] = False,
    quiet_build: Annotated[
        bool, typer.Option("--quiet-build", help="Suppress progress output from the build process")
    ] = False,
    quiet_pull: flags.QuietPull = False,
    remove_orphans: flags.RemoveOrphans = False,
    rm: Annotated[bool, typer.Option("--rm", help="Automatically remove the container when it exits")] = False,
    service_ports: Annotated[
        bool,
        typer.Option(
            "--service-ports", "-P", help="Run command with all service's ports enabled and mapped to the host"
        ),
    ] = False,
    tty: flags.Tty = True,
    use_aliases: Annotated[
        bool,
        typer.Option(
            "--use-aliases", help="Use the service's network useAliases in the network(s) the container connects to"
        ),
    ] = False,
    user: Annotated[str, typer.Option("--user", "-u", help="Run as specified username or uid")] = "",
    volume: Annotated[list[str] | None, typer.Option("--volume", "-v", help="Bind mount a volume")] = None,
    workdir: Annotated[str, typer.Option("--workdir", "-w", help="Working directory inside the container")] = "",
) -> int:
    """Run a one-off command on a service"""
    if publish and service_ports:
        raise UsageError("--service-ports and --publish are incompatible")
    from compose.reconcile.options import RunOptions
    from compose.usecases import projects
    from compose.usecases import run as use_case
    from compose.usecases.exec import resolve_environment

    invocation = Invocation.of(ctx)
    console = invocation.console
    project = projects.load_project(invocation.request(), [service])
    invocation.confirm_remote(project)
    project = use_case.with_volumes(project, service, volume or (), invocation.absolute)
    said = [*_from_files(invocation, env_from_file or ()), *(env or ())]
    attached = not detach
    use_tty = attached and tty and not no_tty and console.stdout_is_terminal and console.stdin_is_terminal
    options = RunOptions(
        service=service,
        slug=os.urandom(32).hex(),
        name=name,
        command=tuple(command or ()),
        entrypoint=None if entrypoint is None else _words(entrypoint),
        user=user,
        working_dir=workdir,
        environment=_pairs(resolve_environment(said, console.environ)),
        labels=_pairs(label or ()),
        cap_add=tuple(cap_add or ()),
        cap_drop=tuple(cap_drop or ()),
        tty=use_tty,
        interactive=interactive and attached,
        auto_remove=rm,
        use_aliases=use_aliases,
        no_deps=no_deps,
        service_ports=service_ports,
        publish=use_case.ports(publish or ()),
        remove_orphans=remove_orphans or invocation.flag("COMPOSE_REMOVE_ORPHANS"),
        env_files=invocation.options.env_files,
    )
    one_off = use_case.OneOff(
        invocation.client(),
        project,
        options,
        # standard output is the program's: builds are shown on the other stream
        reporter=invocation.silent_reporter()
        if quiet
        else invocation.reporter(quiet_build=quiet_build, build_output=console.stderr),
        quiet=invocation.silent_reporter(),
        images=image_options(pull, quiet_pull=quiet_pull or quiet, build=build),
        access=invocation.registries(),
    )
    if invocation.dry_run:
        one_off.plan_only()
        return 0
    if detach:
        console.write(f"{one_off.detached()}\n")
        return 0
    return one_off.attached(
        stdin=console.stdin.fileno(),
        stdout=console.stdout.fileno(),
        stderr=console.stderr.fileno(),
        before_start=console.stdout.flush,
        detach_keys=invocation.detach_keys() if options.tty else b"",
    )


def _words(text: str) -> tuple[str, ...]:
    import shlex

    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise ComposeError(f"invalid entrypoint: {error}") from error


def _pairs(said: tuple[str, ...] | list[str]) -> dict[str, str]:
    return {key: value for key, _, value in (each.partition("=") for each in said)}


def _from_files(invocation: Invocation, files: list[str] | tuple[()]) -> list[str]:
    from compose.loader.dotenv import parse

    found: dict[str, str] = {}
    for file in files:
        path = invocation.absolute(file)
        try:
            with open(path, encoding="utf-8") as stream:
                text = stream.read()
        except OSError as error:
            raise ComposeError(f"open {file}: {(error.strerror or str(error)).lower()}") from error
        parse(text, path, invocation.console.environ.get, found)
    return [f"{key}={value}" for key, value in found.items()]

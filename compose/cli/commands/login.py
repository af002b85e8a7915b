"""`pycompose login`: try and store credentials for a registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import ComposeError, UsageError

if TYPE_CHECKING:
    from compose.cli.console import Console
    from compose.usecases.registryauth import RegistryAccess
    from runtime.wire.registries import Credentials

HUB_PROMPT = """\
Log in with your Docker ID or email address to push and pull images from Docker Hub. \
If you don't have a Docker ID, head over to https://hub.docker.com/ to create one.
"""


def run(
    ctx: typer.Context,
    server: Annotated[str, typer.Argument(metavar="[SERVER]")] = "",
    password: Annotated[str, typer.Option("--password", "-p", help="Password")] = "",
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Take the password from stdin")] = False,
    username: Annotated[str, typer.Option("--username", "-u", help="Username")] = "",
) -> int:
    """Log in to a registry

    If no server is specified, it is Docker Hub.
    """
    from compose.usecases.login import log_in, registry_name
    from runtime.errors import Forbidden

    invocation = Invocation.of(ctx)
    invocation.refuse_dry_run("login")
    console = invocation.console
    if password:
        console.error("WARNING! Using --password via the CLI is insecure. Use --password-stdin.")
        if password_stdin:
            raise UsageError("--password and --password-stdin are mutually exclusive")
    if password_stdin:
        if not username:
            raise UsageError("Must provide --username with --password-stdin")
        password = console.stdin.read().rstrip("\r\n")
    registry = registry_name(server)
    access = invocation.registries()
    known = access.credentials(registry) if not username and not password else {}
    if known:
        console.write("Authenticating with existing credentials...\n")
        try:
            _tell(console, *log_in(invocation.client(), access, registry, known))
        except Forbidden as error:
            console.error(f"Login did not succeed, error: {error.message}")
        else:
            return 0
    given = _asked(console, access, registry, username, password)
    _tell(console, *log_in(invocation.client(), access, registry, given))
    return 0


def _tell(console: Console, status: str, warning: str) -> None:
    if warning:
        console.error(warning)
    console.write(f"{status}\n")


def _asked(console: Console, access: RegistryAccess, registry: str, username: str, password: str) -> Credentials:
    """User and password, what is missing asked for on the terminal."""
    from compose.usecases.registryauth import HUB

    if username and password:
        return {"username": username, "password": password}
    if not console.stdin_is_terminal:
        raise ComposeError("Error: Cannot perform an interactive login from a non TTY device")
    if not username:
        if registry == HUB:
            console.write(HUB_PROMPT)
        console.write("Username: ")
        console.stdout.flush()
        username = console.stdin.readline().strip()
        if not username:
            raise ComposeError("Error: Non-null Username Required")
    if not password:
        import getpass

        console.stdout.flush()
        password = getpass.getpass("Password: ", console.stderr)
        if not password:
            raise ComposeError("Error: Password Required")
    return {"username": username, "password": password}

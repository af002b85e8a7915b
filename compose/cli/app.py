"""Route the command line: a static table of commands, each in a module of its own that is imported when it is run.

Neither `--help` nor a command imports another command. Parsing follows Compose's: global options stand before the
command, `--dry-run` anywhere, `--flag=false` works, and a mistake costs exit code 1.
"""

from __future__ import annotations

import functools
import importlib
import keyword
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer
from typer import _click
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from compose.cli.invocation import GlobalOptions, Invocation
from compose.errors import ComposeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compose.cli.console import Console

COMMANDS: Mapping[str, str] = {
    "attach": "Attach local standard input, output, and error streams to a service's running container",
    "build": "Build or rebuild services",
    "completion": "Generate the completion script for a shell (bash, zsh or fish)",
    "commit": "Create a new image from a service container's changes",
    "config": "Parse, resolve and render compose file in canonical format",
    "cp": "Copy files/folders between a service container and the local filesystem",
    "create": "Creates containers for a service",
    "doctor": "Check what this machine offers to the runtime",
    "down": "Stop and remove containers, networks",
    "events": "Receive real time events from containers",
    "exec": "Execute a command in a running container",
    "export": "Export a service container's filesystem as a tar archive",
    "images": "List images used by the created containers",
    "kill": "Force stop service containers",
    "login": "Log in to a registry",
    "logout": "Log out from a registry",
    "logs": "View output from containers",
    "ls": "List running compose projects",
    "oci": "Run an OCI runtime verb (create, start, state, kill, delete)",
    "pause": "Pause services",
    "port": "Print the public port for a port binding",
    "ps": "List containers",
    "publish": "Publish compose application",
    "pull": "Pull service images",
    "push": "Push service images",
    "restart": "Restart service containers",
    "rm": "Removes stopped service containers",
    "run": "Run a one-off command on a service",
    "scale": "Scale services",
    "start": "Start services",
    "stats": "Display a live stream of container(s) resource usage statistics",
    "stop": "Stop services",
    "top": "Display the running processes",
    "unpause": "Unpause services",
    "up": "Create and start containers",
    "volumes": "List volumes",
    "wait": "Block until containers of all (or specified) services stop.",
    "version": "Show the pycompose version information",
    "watch": "Watch build context for service and rebuild/refresh containers when files are updated",
}
GROUPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "engine": (
        "Look after the engine",
        {
            "start": "Start the engine if it does not run, and what restart policies bring back",
            "df": "Show disk usage",
            "status": "Show whether the engine runs and what it holds",
            "stop": "Stop the engine",
            "logs": "Show the engine's own log",
            "reset": "Remove everything that the engine ever put on this machine",
            "unit": "Print a systemd unit that starts the engine at boot and stops containers in order at shutdown",
        },
    ),
    "image": (
        "Manage images",
        {
            "build": "Build an image from a Dockerfile",
            "export": "Export an image's filesystem as a tar archive",
            "history": "Show the history of an image",
            "import": "Make an image of a root file system (tar archive or directory)",
            "inspect": "Display detailed information on one or more images",
            "load": "Load an image from a tar archive or STDIN",
            "ls": "List images",
            "prune": "Remove unused images",
            "pull": "Download an image from a registry",
            "push": "Upload an image to a registry",
            "rm": "Remove one or more images",
            "save": "Save one or more images to a tar archive (streamed to STDOUT by default)",
            "tag": "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
        },
    ),
    "network": (
        "Manage networks",
        {
            "connect": "Connect a container to a network",
            "create": "Create a network",
            "disconnect": "Disconnect a container from a network",
            "inspect": "Display detailed information on one or more networks",
            "ls": "List networks",
            "prune": "Remove all unused networks",
            "rm": "Remove one or more networks",
        },
    ),
    "volume": (
        "Manage volumes",
        {
            "create": "Create a volume",
            "inspect": "Display detailed information on one or more volumes",
            "ls": "List volumes",
            "prune": "Remove unused local volumes",
            "rm": "Remove one or more volumes",
        },
    ),
}
ALIASES = {"list": "ls", "remove": "rm"}
"""Docker's other names of commands of a group."""
DOCKERS = frozenset({"image", "network", "volume"})
"""Groups that Docker has: there a flag that cannot be read costs its exit code."""
BAD_FLAG = 125
OPTIONAL_VALUES = {"--graph": "text"}
"""Options that mean something without a value too; one that is given stands behind `=`."""
UNPARSED = frozenset({"doctor", "oci"})
"""Commands that hand all their arguments on to a program of the runtime."""
NOT_INTERSPERSED = frozenset({"exec", "run"})
COMPLETE = "__complete"
"""What completion scripts call: `pycompose __complete WORD...`, the last one being typed."""
HELP_NAMES = ["-h", "--help"]
TRUE = ("true", "t", "1", "TRUE", "True", "T")
FALSE = ("false", "f", "0", "FALSE", "False", "F")


class Command(TyperCommand):
    """A command that takes `--flag=true` and `--flag=false`, as Go's flags do."""

    def get_help(self, ctx: _click.Context) -> str:
        return _help(self, ctx)

    def parse_args(self, ctx: _click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, plain_flags(self, args))


class LazyGroup(TyperGroup):
    """The commands of a table; `module` and `function` say where one is found."""

    table: Mapping[str, str] = COMMANDS
    nested: Mapping[str, tuple[str, Mapping[str, str]]] = GROUPS
    package = "compose.cli.commands"

    def list_commands(self, ctx: _click.Context) -> list[str]:
        return [*self.nested, *self.table]

    def get_command(self, ctx: _click.Context, cmd_name: str) -> _click.Command | None:
        if cmd_name in self.nested:
            return _nested_group(cmd_name)
        if cmd_name not in self.table:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        module = importlib.import_module(f"{self.package}.{name}")
        return _command(cmd_name, module.run)

    def resolve_command(
        self, ctx: _click.Context, args: list[str]
    ) -> tuple[str | None, _click.Command | None, list[str]]:
        if args and args[0] not in self.table and self.package != LazyGroup.package:
            args = [ALIASES.get(args[0], args[0]), *args[1:]]
        if args and args[0] not in self.table and args[0] not in self.nested:
            ctx.find_root().obj.console.write(f"{ctx.get_help()}\n")
            raise UsageError(f'unknown command: "{ctx.command_path} {args[0]}"')
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: _click.Context, args: list[str]) -> list[str]:
        # flags of the group itself end where the command begins: what follows is left to the command
        return super().parse_args(ctx, plain_flags(self, args, until_command=True))

    def get_help(self, ctx: _click.Context) -> str:
        return _help(self, ctx)


def main(arguments: Sequence[str], console: Console) -> int:
    """Run a command line; its exit code. Raises ComposeError and EngineError, KeyboardInterrupt, BrokenPipeError."""
    if arguments and arguments[0] == COMPLETE:
        from compose.cli import completion

        return completion.answer(_root(), arguments[1:], console)
    command = _root()
    invocation = Invocation(console)
    try:
        result = command.main(args=list(arguments), prog_name="pycompose", standalone_mode=False, obj=invocation)
    except _click.exceptions.NoArgsIsHelpError as error:
        console.write(f"{error.ctx.get_help()}\n" if error.ctx else "")
        return 0
    except _click.exceptions.UsageError as error:
        raise UsageError(usage_message(error), exit_code=_usage_code(error)) from error
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    finally:
        invocation.close()
    return result if isinstance(result, int) else 0


def _help(command: _click.Command, ctx: _click.Context) -> str:
    from compose.cli import helptext

    console = Invocation.of(ctx).console  # type: ignore[arg-type]
    return helptext.text(command, ctx, console.size()[1]).rstrip("\n")


def usage_message(error: _click.exceptions.UsageError) -> str:
    """A parse error in Compose's words."""
    if isinstance(error, _click.exceptions.NoSuchOption):
        name = error.option_name
        hint = f"; did you mean {error.possibilities[0]}?" if error.possibilities else ""
        if name.startswith("--"):
            return f"unknown flag: {name}{hint}"
        return f"unknown shorthand flag: '{name.lstrip('-')[:1]}' in {name}{hint}"
    if isinstance(error, _click.exceptions.BadOptionUsage):
        return f"flag needs an argument: {error.option_name}"
    if isinstance(error, _click.exceptions.MissingParameter) and isinstance(error.param, TyperArgument):
        command = error.ctx.command if error.ctx else None
        needed = (
            [param for param in command.params if isinstance(param, TyperArgument) and param.required]
            if command
            else []
        )
        given = sum(bool(error.ctx and error.ctx.params.get(str(param.name))) for param in needed)
        return f"requires at least {len(needed)} arg(s), only received {given}"
    if isinstance(error, _click.exceptions.BadParameter) and error.param is not None:
        flag = ", ".join(reversed(error.param.opts))
        return f'invalid argument for "{flag}" flag: {error.message}'
    return error.format_message()


def _usage_code(error: _click.exceptions.UsageError) -> int:
    """Docker's code for a wrong flag in a group of Docker's; a wrong number of arguments, and all of Compose's, is 1."""
    wrong_flag = isinstance(
        error, (_click.exceptions.NoSuchOption, _click.exceptions.BadOptionUsage, _click.exceptions.BadParameter)
    ) and not isinstance(error, _click.exceptions.MissingParameter)
    group = error.ctx.parent.info_name if error.ctx and error.ctx.parent else None
    return BAD_FLAG if wrong_flag and group in DOCKERS else 1


def plain_flags(command: _click.Command, args: list[str], *, until_command: bool = False) -> list[str]:
    """The arguments with `--flag=true|false` of boolean flags replaced by what the parser knows."""
    flags = {
        name: param
        for param in command.params
        if isinstance(param, TyperOption) and param.is_flag
        for name in param.opts
    }
    done: list[str] = []
    for position, argument in enumerate(args):
        if argument == "--" or (until_command and not argument.startswith("-")):
            # the value of an option looks like a command here; the parser tells them apart, nothing is lost by stopping
            return done + args[position:]
        if argument in OPTIONAL_VALUES and any(argument in param.opts for param in command.params):
            done.append(f"{argument}={OPTIONAL_VALUES[argument]}")
            continue
        name, equals, value = argument.partition("=")
        flag = flags.get(name) if equals else None
        if flag is None:
            done.append(argument)
        elif value in TRUE:
            done.append(name)
        elif value in FALSE:
            done += flag.secondary_opts[:1]
        else:
            raise UsageError(f'invalid argument "{value}" for "{name}" flag: neither true nor false')
    return done


def prepare() -> None:
    """Make every command, so that a process forked from this one has it: typer takes 5 ms for one."""
    pending = [_root()]
    while pending:
        group = pending.pop()
        context = _click.Context(group)
        made = [group.get_command(context, name) for name in group.list_commands(context)]
        pending += [command for command in made if isinstance(command, LazyGroup)]


@functools.cache
def _root() -> LazyGroup:
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        help="Define and run multi-container applications",
        context_settings={"help_option_names": HELP_NAMES},
    )
    app.callback()(_global_options)
    return cast("LazyGroup", typer.main.get_command(app))


@functools.cache
def _nested_group(name: str) -> _click.Command:
    text, commands = GROUPS[name]
    namespace = {"table": commands, "nested": {}, "package": f"compose.cli.commands.{name}"}
    group = type(f"{name.title()}Group", (LazyGroup,), namespace)
    app = typer.Typer(
        cls=group,
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        help=text,
        context_settings={"help_option_names": HELP_NAMES},
    )
    app.callback()(_nothing)
    return typer.main.get_command(app)


@functools.cache
def _command(name: str, function: Any) -> _click.Command:
    settings: dict[str, Any] = {"help_option_names": HELP_NAMES}
    if name in UNPARSED:
        settings |= {"ignore_unknown_options": True, "allow_interspersed_args": False}
    if name in NOT_INTERSPERSED:
        settings["allow_interspersed_args"] = False
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name, cls=Command, context_settings=settings)(function)
    command = typer.main.get_command(app)
    if name not in UNPARSED:
        command.params.append(_dry_run_option())
    return command


def _dry_run_option() -> TyperOption:
    return TyperOption(
        param_decls=["--dry-run"],
        is_flag=True,
        expose_value=False,
        help="Execute command in dry run mode",
        callback=_set_dry_run,
    )


def _set_dry_run(ctx: typer.Context, _param: Any, value: Any) -> None:
    if value:
        Invocation.of(ctx).dry_run = True


def _nothing() -> None:
    pass


def _global_options(
    ctx: typer.Context,
    all_resources: Annotated[
        bool, typer.Option("--all-resources", help="Include all resources, even those not used by services")
    ] = False,
    ansi: Annotated[
        str, typer.Option(help='Control when to print ANSI control characters ("never"|"always"|"auto")')
    ] = "auto",
    compatibility: Annotated[
        bool, typer.Option("--compatibility", help="Run compose in backward compatibility mode")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Execute command in dry run mode")] = False,
    env_file: Annotated[
        list[str] | None, typer.Option("--env-file", help="Specify an alternate environment file")
    ] = None,
    file: Annotated[list[str] | None, typer.Option("--file", "-f", help="Compose configuration files")] = None,
    parallel: Annotated[int, typer.Option(help="Control max parallelism, -1 for unlimited")] = -1,
    profile: Annotated[list[str] | None, typer.Option("--profile", help="Specify a profile to enable")] = None,
    progress: Annotated[str, typer.Option(help="Set type of progress output (auto, tty, plain, json, quiet)")] = "",
    project_directory: Annotated[
        str,
        typer.Option(
            help="Specify an alternate working directory (default: the path of the, first specified, Compose file)"
        ),
    ] = "",
    project_name: Annotated[str, typer.Option("--project-name", "-p", help="Project name")] = "",
    verbose: Annotated[bool, typer.Option("--verbose", hidden=True)] = False,
    workdir: Annotated[str, typer.Option("--workdir", hidden=True)] = "",
    no_ansi: Annotated[bool, typer.Option("--no-ansi", hidden=True)] = False,
) -> None:
    if workdir and project_directory:
        raise ComposeError('cannot specify DEPRECATED "--workdir" and "--project-directory"')
    if no_ansi and ansi != "auto":
        raise ComposeError('cannot specify DEPRECATED "--no-ansi" and "--ansi"')
    Invocation.of(ctx).apply(
        GlobalOptions(
            files=tuple(file or ()),
            project_name=project_name,
            profiles=tuple(profile or ()),
            env_files=tuple(env_file or ()),
            project_directory=project_directory or workdir,
            compatibility=compatibility,
            all_resources=all_resources,
            ansi="never" if no_ansi else ansi,
            ansi_given=ansi != "auto" or no_ansi,
            progress=progress,
            dry_run=dry_run,
            parallel=parallel,
            verbose=verbose,
        )
    )

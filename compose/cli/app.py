"""Route the command line: a static table of commands, each in a module of its own that is imported when it is run.

Neither `--help` nor a command imports another command. Parsing follows Compose's: global options stand before the
command, `--dry-run` anywhere, `--flag=false` works, and a mistake costs exit code 1.
"""

from __future__ import annotations

import importlib
import keyword
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer import _click
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from compose.cli.invocation import GlobalOptions, Invocation
from compose.errors import ComposeError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compose.cli.console import Console

COMMANDS: Mapping[str, str] = {
    "config": "Parse, resolve and render compose file in canonical format",
    "create": "Creates containers for a service",
    "doctor": "Check what this machine offers to the runtime",
    "down": "Stop and remove containers, networks",
    "events": "Receive real time events from containers",
    "exec": "Execute a command in a running container",
    "images": "List images used by the created containers",
    "kill": "Force stop service containers",
    "logs": "View output from containers",
    "ls": "List running compose projects",
    "oci": "Run an OCI runtime verb (create, start, state, kill, delete)",
    "pause": "Pause services",
    "port": "Print the public port for a port binding",
    "ps": "List containers",
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
    "wait": "Block until containers of all (or specified) services stop.",
    "version": "Show the pycompose version information",
    "watch": "Watch build context for service and rebuild/refresh containers when files are updated",
}
GROUPS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "engine": (
        "Look after the engine",
        {
            "status": "Show whether the engine runs and what it holds",
            "stop": "Stop the engine",
            "logs": "Show the engine's own log",
        },
    ),
    "image": (
        "Manage images",
        {
            "import": "Make an image of a root file system (tar archive or directory)",
            "ls": "List images",
        },
    ),
}
UNPARSED = frozenset({"doctor", "oci"})
"""Commands that hand all their arguments on to a program of the runtime."""
NOT_INTERSPERSED = frozenset({"exec", "run"})
HELP_NAMES = ["-h", "--help"]
TRUE = ("true", "t", "1", "TRUE", "True", "T")
FALSE = ("false", "f", "0", "FALSE", "False", "F")


class Command(TyperCommand):
    """A command that takes `--flag=true` and `--flag=false`, as Go's flags do."""

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
        if args and args[0] not in self.table and args[0] not in self.nested:
            ctx.find_root().obj.console.write(f"{ctx.get_help()}\n")
            raise UsageError(f'unknown command: "{ctx.command_path} {args[0]}"')
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: _click.Context, args: list[str]) -> list[str]:
        # flags of the group itself end where the command begins: what follows is left to the command
        return super().parse_args(ctx, plain_flags(self, args, until_command=True))

    def format_commands(self, ctx: _click.Context, formatter: _click.HelpFormatter) -> None:
        if self.nested:
            with formatter.section("Management Commands"):
                formatter.write_dl([(name, text) for name, (text, _) in self.nested.items()])
        with formatter.section("Commands"):
            formatter.write_dl(list(self.table.items()))


def main(arguments: Sequence[str], console: Console) -> int:
    """Run a command line; its exit code. Raises ComposeError and EngineError, KeyboardInterrupt, BrokenPipeError."""
    command = _root()
    invocation = Invocation(console)
    try:
        result = command.main(args=list(arguments), prog_name="pycompose", standalone_mode=False, obj=invocation)
    except _click.exceptions.NoArgsIsHelpError as error:
        console.write(f"{error.ctx.get_help()}\n" if error.ctx else "")
        return 0
    except _click.exceptions.UsageError as error:
        raise UsageError(usage_message(error)) from error
    except typer.Exit as error:
        return int(error.exit_code)
    except typer.Abort:
        raise KeyboardInterrupt from None
    finally:
        invocation.close()
    return result if isinstance(result, int) else 0


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


def _root() -> _click.Command:
    app = typer.Typer(
        cls=LazyGroup,
        add_completion=False,
        rich_markup_mode=None,
        no_args_is_help=True,
        help="Define and run multi-container applications",
        context_settings={"help_option_names": HELP_NAMES},
    )
    app.callback()(_global_options)
    return typer.main.get_command(app)


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


def _command(name: str, function: Any) -> _click.Command:
    settings: dict[str, Any] = {"help_option_names": HELP_NAMES}
    if name in UNPARSED:
        settings = {"ignore_unknown_options": True, "help_option_names": [], "allow_interspersed_args": False}
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

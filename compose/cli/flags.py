"""Declare the options and arguments that several commands have, once for all of them; a default stands with the command."""

from __future__ import annotations

from typing import Annotated

import typer

Build = Annotated[bool, typer.Option("--build", help="Build images before starting containers")]
DriverOptions = Annotated[list[str] | None, typer.Option("--opt", "-o", help="Set driver specific options")]
Environment = Annotated[list[str] | None, typer.Option("--env", "-e", help="Set environment variables")]
Force = Annotated[bool, typer.Option("--force", "-f", help="Do not prompt for confirmation")]
ForceRecreate = Annotated[
    bool,
    typer.Option("--force-recreate", help="Recreate containers even if their configuration and image haven't changed"),
]
Images = Annotated[list[str], typer.Argument(metavar="IMAGE [IMAGE...]")]
Index = Annotated[int, typer.Option(help="Index of the container if service has multiple replicas")]
InspectFormat = Annotated[
    str, typer.Option("--format", "-f", help="Format output using a custom template: 'json' or a Go template")
]
ListFormat = Annotated[
    str, typer.Option("--format", help="Format output: 'table', 'table TEMPLATE', 'json' or a Go template")
]
Networks = Annotated[list[str], typer.Argument(metavar="NETWORK [NETWORK...]")]
NoBuild = Annotated[bool, typer.Option("--no-build", help="Don't build an image, even if it's policy")]
NoColor = Annotated[bool, typer.Option("--no-color", help="Produce monochrome output")]
NoDeps = Annotated[bool, typer.Option("--no-deps", help="Don't start linked services")]
NoLogPrefix = Annotated[bool, typer.Option("--no-log-prefix", help="Don't print prefix in logs")]
NoRecreate = Annotated[
    bool,
    typer.Option(
        "--no-recreate", help="If containers already exist, don't recreate them. Incompatible with --force-recreate."
    ),
]
NoTrunc = Annotated[bool, typer.Option("--no-trunc", help="Don't truncate output")]
Output = Annotated[str, typer.Option("--output", "-o", help="Write to a file, instead of STDOUT")]
PruneFilter = Annotated[
    list[str] | None, typer.Option("--filter", help='Provide filter values (e.g. "until=<timestamp>")')
]
Pull = Annotated[str, typer.Option(help='Pull image before running ("always"|"missing"|"never")')]
QuietIds = Annotated[bool, typer.Option("--quiet", "-q", help="Only display IDs")]
QuietPull = Annotated[bool, typer.Option("--quiet-pull", help="Pull without printing progress information")]
QuietTransfer = Annotated[bool, typer.Option("--quiet", "-q", help="Suppress verbose output")]
QuietVolumes = Annotated[bool, typer.Option("--quiet", "-q", help="Only display volume names")]
RemoveOrphans = Annotated[
    bool, typer.Option("--remove-orphans", help="Remove containers for services not defined in the Compose file")
]
Scale = Annotated[
    list[str] | None,
    typer.Option(
        "--scale", help="Scale SERVICE to NUM instances. Overrides the `scale` setting in the Compose file if present."
    ),
]
Service = Annotated[str, typer.Argument(metavar="SERVICE")]
Services = Annotated[list[str] | None, typer.Argument(metavar="[SERVICE...]")]
StopTimeout = Annotated[int | None, typer.Option("--timeout", "-t", help="Specify a shutdown timeout in seconds")]
TableOrJson = Annotated[str, typer.Option(help="Format the output. Values: [table | json]")]
Tty = Annotated[bool, typer.Option("--tty/--not-tty", "-t", hidden=True, help="Allocate a pseudo-TTY")]
Volumes = Annotated[list[str], typer.Argument(metavar="VOLUME [VOLUME...]")]
WaitTimeout = Annotated[
    int | None, typer.Option(help="Maximum duration in seconds to wait for the project to be running|healthy")
]
Yes = Annotated[
    bool, typer.Option("--yes", "-y", help='Assume "yes" as answer to all prompts and run non-interactively')
]

"""`pycompose completion`: print the script that teaches a shell to complete our command lines."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from compose.cli.invocation import Invocation
from compose.errors import UsageError

SHELLS = ("bash", "fish", "zsh")


def run(ctx: typer.Context, shell: Annotated[str, typer.Argument(metavar="SHELL")]) -> int:
    """Generate the completion script for a shell (bash, zsh or fish)"""
    if shell not in SHELLS:
        raise UsageError(f"no completion for shell {shell}: there is one for {', '.join(SHELLS)}")
    folder = os.path.join(os.path.dirname(os.path.dirname(__file__)), "shells")
    with open(os.path.join(folder, f"pycompose.{shell}"), encoding="utf-8") as file:
        Invocation.of(ctx).console.write(file.read())
    return 0

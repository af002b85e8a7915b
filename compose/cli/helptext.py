"""Print help as Docker Compose does: usage, what it does, options in columns; and an example.

Imported when help is asked for. Options stand in the order of their names, with the types and defaults that Go prints.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from typer.core import TyperArgument, TyperGroup, TyperOption

from compose.cli.examples import examples_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from typer import _click

NAMES = frozenset({"help", "dry-run"})
"""Options that every command has: they alone do not make `[OPTIONS]`."""
GO_TYPES = {"int": "int", "integer": "int", "float": "float"}
EXAMPLE = "Example: "
"""What a line of a docstring begins with that belongs among the examples."""
NARROWEST = 24
"""Columns that a description gets at least, however long the names beside it are."""


def text(command: _click.Command, ctx: _click.Context, width: int) -> str:
    """The help of a command or group for a terminal of `width` columns."""
    path = ctx.command_path.partition(" ")[2]
    options = [param for param in command.params if isinstance(param, TyperOption) and not param.hidden]
    lines = (command.help or "").replace("\f", "").strip().splitlines()
    sections = [
        f"Usage:  {usage(command, ctx)}",
        "\n".join(line for line in lines if not line.startswith(EXAMPLE)).strip(),
        _section("Options", _rows([_option(item) for item in sorted(options, key=_long)], width)),
    ]
    if isinstance(command, TyperGroup):
        sections += _commands(command, ctx)
    told = [line.removeprefix(EXAMPLE) for line in lines if line.startswith(EXAMPLE)]
    sections.append(_section("Examples", [f"  {line}" for line in dict.fromkeys([*examples_of(path), *told])]))
    if isinstance(command, TyperGroup):
        sections.append(f"Run '{ctx.command_path} COMMAND --help' for more information on a command.")
    return "\n\n".join(section for section in sections if section) + "\n"


def usage(command: _click.Command, ctx: _click.Context) -> str:
    """`pycompose up [OPTIONS] [SERVICE...]`."""
    own = [param for param in command.params if isinstance(param, TyperOption) and _long(param) not in NAMES]
    words = [ctx.command_path]
    if any(not param.hidden for param in own):
        words.append("[OPTIONS]")
    if isinstance(command, TyperGroup):
        words.append("COMMAND")
    words += [param.make_metavar(ctx).strip("{}") for param in command.params if isinstance(param, TyperArgument)]
    return " ".join(words)


def _commands(group: TyperGroup, ctx: _click.Context) -> list[str]:
    nested = getattr(group, "nested", {})
    table = getattr(group, "table", {})
    width = max(map(len, (*nested, *table)), default=0)
    management = [f"  {name:<{width}}  {what}" for name, (what, _) in nested.items()]
    return [
        _section("Management Commands", management),
        _section("Commands", [f"  {name:<{width}}  {what}" for name, what in sorted(table.items())]),
    ]


def _section(title: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{title}:", *lines]) if lines else ""


def _option(param: TyperOption) -> tuple[str, str]:
    """What stands left and right."""
    short = next((name for name in param.opts if not name.startswith("--")), "")
    left = f"  {short}, --{_long(param)}" if short else f"      --{_long(param)}"
    if not param.is_flag:
        left += " " + _type(param)
    return left, (param.help or "") + _default(param)


def _long(param: TyperOption) -> str:
    return next((name for name in param.opts if name.startswith("--")), param.opts[0]).lstrip("-")


def _type(param: TyperOption) -> str:
    name = GO_TYPES.get(param.type.name, "string")
    return f"{name}Array" if param.multiple and name == "string" else name


def _default(param: TyperOption) -> str:
    value = param.default
    if callable(value) or not isinstance(value, bool | int | float | str) or not value:
        return ""
    return f' (default "{value}")' if isinstance(value, str) else f" (default {str(value).lower()})"


def _rows(rows: Iterable[tuple[str, str]], width: int) -> list[str]:
    rows = list(rows)
    left = max((len(name) for name, _ in rows), default=0) + 3
    lines = []
    for name, what in rows:
        wrapped = textwrap.wrap(
            what, max(width - left - 1, NARROWEST), break_long_words=False, break_on_hyphens=False
        ) or [""]
        lines.append(f"{name:<{left}}{wrapped[0]}".rstrip())
        lines += [" " * left + line for line in wrapped[1:]]
    return lines

"""What the commands on volumes and networks have in common: run a plan, tell of each object, read labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compose.errors import UsageError
from compose.usecases import outcomes
from compose.usecases.filters import BAD_FLAG
from runtime.errors import EngineError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from compose.cli.invocation import Invocation
    from compose.reconcile.plan import Plan
    from compose.usecases.outcomes import Outcome


def carry_out(invocation: Invocation, plan: Plan) -> list[Outcome]:
    """Execute a plan, or with --dry-run print it: then there are no outcomes."""
    if invocation.dry_run:
        invocation.console.write(str(plan))
        return []
    return outcomes.submit(invocation.client(), plan)


def remove(invocation: Invocation, plan: Plan, missing: str, *, force: bool, tell_missing: bool) -> int:
    """Execute removals and print the names of what went; the exit code.

    `missing` is the message for one that is not there, which with `force` is no mistake.
    """
    failed = False
    for each in carry_out(invocation, plan):
        name = str(each.operation.args["Name"])
        if each.changed or (force and each.error is None):
            invocation.console.write(f"{name}\n" if each.changed or tell_missing else "")
            continue
        failed = True
        invocation.console.error(each.error.message if each.error else missing.format(name))
    return int(failed)


def inspect(invocation: Invocation, names: Sequence[str], format: str, find: Callable[[str], dict[str, Any]]) -> int:
    """Print what `find` knows of each name, then the errors for those that it does not know; the exit code.

    Raises ComposeError for a template that cannot be read, Unavailable.
    """
    from compose.cli.render.inspection import inspection

    show = inspection(format)
    found, errors = [], []
    for name in names:
        try:
            found.append(find(name))
        except Unavailable:
            raise
        except EngineError as error:
            errors.append(error.message)
    invocation.console.write(show(found))
    for message in errors:
        invocation.console.error(message)
    return int(bool(errors))


def listing(
    invocation: Invocation,
    rows: Iterable[Mapping[str, str]],
    key: str,
    columns: tuple[str, Mapping[str, str]],
    *,
    format: str,
    quiet: bool,
) -> int:
    """Print rows, already in order; with `quiet` only their `key`. `columns`: the table's template and its headers."""
    from compose.cli.render import listing as lists

    if quiet and not format:
        invocation.console.write("".join(f"{row[key]}\n" for row in rows))
        return 0
    invocation.console.write(lists.render(rows, format, *columns))
    return 0


def tell_deleted(invocation: Invocation, kind: str, names: Iterable[str]) -> None:
    """What a prune came to."""
    lines = [f"{name}\n" for name in names]
    if lines:
        invocation.console.write("".join([f"Deleted {kind}:\n", *lines, "\n"]))


def pairs(given: Iterable[str] | None, flag: str) -> dict[str, str]:
    """`key=value` options; a key alone has an empty value. Raises UsageError for an empty key or one with spaces."""
    found: dict[str, str] = {}
    for text in given or ():
        key, _, value = text.partition("=")
        if not key:
            raise UsageError(
                f'invalid argument "{text}" for "--{flag}" flag: invalid {flag} \'{text}\': empty name',
                exit_code=BAD_FLAG,
            )
        if any(character.isspace() for character in key):
            raise UsageError(
                f'invalid argument "{text}" for "--{flag}" flag: {flag} \'{key}\' contains whitespaces',
                exit_code=BAD_FLAG,
            )
        found[key] = value
    return found

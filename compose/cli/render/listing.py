"""Print lists as Docker's management commands do: as a table, JSON lines, or by a template."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from compose.cli.render import gotemplate
from compose.cli.render.table import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_DIGITS = re.compile(r"(\d+)")


def render(rows: Iterable[Mapping[str, Any]], format: str, default: str, headers: Mapping[str, str]) -> str:
    """Rows of fields in the form asked for; `default` is the table's template. `Labels` also answers `{{.Label "x"}}`.

    Raises UsageError for a template that cannot be read or a field that there is not.
    """
    if format == "json":
        return "".join(gotemplate.to_json(dict(sorted(row.items()))) + "\n" for row in rows)
    source = default if format in ("", "table") else format
    template = gotemplate.compile_format(source)
    lines = []
    for row in rows:
        labels = dict(text.partition("=")[::2] for text in str(row.get("Labels", "")).split(",") if text)
        lines.append(gotemplate.render(template, row, {"Label": lambda name, found=labels: found.get(name, "")}))
    if not gotemplate.is_table(source):
        return "".join(f"{line}\n" for line in lines)
    return table(line.split("\t") for line in [gotemplate.header(template, headers), *lines])


def labels(pairs: Mapping[str, str] | None) -> str:
    """Labels in one cell: `a=b,c=`."""
    return ",".join(f"{key}={value}" for key, value in sorted((pairs or {}).items()))


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key by which `web2` stands before `web10`, as Docker's lists are sorted."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in _DIGITS.split(text) if part]

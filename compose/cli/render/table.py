"""Lay out tables as Go's tabwriter does: columns padded by spaces, the last cell of a row as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DOCKER_MIN_WIDTH = 10
COMPOSE_MIN_WIDTH = 20
PADDING = 3


def table(rows: Iterable[Sequence[str]], *, min_width: int = DOCKER_MIN_WIDTH, padding: int = PADDING) -> str:
    """Rows (the header is one of them) as lines; a cell is at least `min_width` wide, padding included."""
    cells = list(rows)
    columns = max((len(row) for row in cells), default=0)
    widths = [
        max([min_width, *(len(row[column]) + padding for row in cells if column < len(row) - 1)])
        for column in range(max(columns - 1, 0))
    ]
    lines = []
    for row in cells:
        padded = [cell.ljust(widths[column]) for column, cell in enumerate(row[:-1])]
        lines.append("".join([*padded, *row[-1:]]))
    return "".join(f"{line}\n" for line in lines)

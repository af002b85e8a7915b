"""Draw the dependency graph of a project: as a tree of text, for Mermaid, for Graphviz, or as an SVG image.

An arrow goes from a service to one it needs; what it waits for stands on the arrow unless it is a mere start. Nothing
here recurses: a chain of dependencies may be thousands long.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compose.graph import DependencyGraph, Edge

CONDITIONS = {"service_healthy": "healthy", "service_completed_successfully": "completed", "service_started": ""}
BOX_HEIGHT, ROW, GAP, CHARACTER, PADDING, MARGIN = 32, 56, 110, 8, 24, 20
"""Pixels of the image: a box, a row of boxes, the space between columns, a letter, around a text, around it all."""


HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    ' font-family="monospace" font-size="13">'
)
ARROW_HEAD = (
    '  <defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0L8 4L0 8z" fill="#607080"/></marker></defs>'
)


def waits_for(edge: Edge) -> str:
    """What is waited for and what else is unusual, in words: `healthy, restart`; "" if nothing is."""
    words = [CONDITIONS.get(edge.condition, edge.condition)]
    words += [word for word, holds in (("optional", not edge.required), ("restart", edge.restart)) if holds]
    return ", ".join(filter(None, words))


def text(graph: DependencyGraph) -> str:
    """A tree below each service that nothing needs. What was drawn already is not drawn again below."""
    lines: list[str] = []
    drawn: set[str] = set()
    for root in graph:
        if graph.dependents(root):
            continue
        stack = [(root, "", "", "")]
        while stack:
            name, prefix, branch, label = stack.pop()
            again = name in drawn and bool(graph.dependencies(name))
            lines.append(f"{prefix}{branch}{name}{label}{' ...' if again else ''}")
            if again:
                continue
            drawn.add(name)
            below = prefix + {"": "", "├── ": "│   ", "└── ": "    "}[branch]
            needed = list(graph.dependencies(name).items())
            for position, (target, edge) in reversed(list(enumerate(needed))):
                said = waits_for(edge)
                last = position == len(needed) - 1
                stack.append((target, below, "└── " if last else "├── ", f" ({said})" if said else ""))
    return "".join(f"{line}\n" for line in lines)


def mermaid(graph: DependencyGraph) -> str:
    """A Mermaid flow chart."""
    numbers = {name: f"s{number}" for number, name in enumerate(graph)}
    lines = ["flowchart LR", *(f'    {number}["{name}"]' for name, number in numbers.items())]
    for name, target, edge in _edges(graph):
        said = waits_for(edge)
        arrow = "-->" if edge.required else "-.->"
        lines.append(f"    {numbers[name]} {arrow}{f'|{said}|' if said else ''} {numbers[target]}")
    return "".join(f"{line}\n" for line in lines)


def dot(graph: DependencyGraph) -> str:
    """A Graphviz digraph."""
    lines = ["digraph {", "    rankdir=LR;", "    node [shape=box];", *(f'    "{name}";' for name in graph)]
    for name, target, edge in _edges(graph):
        said = waits_for(edge)
        attributes = [f'label="{said}"'] if said else []
        attributes += [] if edge.required else ["style=dashed"]
        said = f" [{', '.join(attributes)}]" if attributes else ""
        lines.append(f'    "{name}" -> "{target}"{said};')
    return "".join(f"{line}\n" for line in [*lines, "}"])


def svg(graph: DependencyGraph) -> str:
    """An image by itself: a column for each depth, what is needed to the right of what needs it."""
    columns = _columns(graph)
    places: dict[str, tuple[int, int, int]] = {}
    left = MARGIN
    for column in columns:
        width = max(len(name) for name in column) * CHARACTER + PADDING
        for row, name in enumerate(column):
            places[name] = (left, MARGIN + row * ROW, width)
        left += width + GAP
    width = max(left - GAP + MARGIN, 2 * MARGIN)
    height = 2 * MARGIN + max(map(len, columns), default=0) * ROW
    lines = [
        HEAD.format(width=width, height=height),
        ARROW_HEAD,
        f'  <rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for name, target, edge in _edges(graph):
        lines += _arrow(places[name], places[target], edge)
    for name, (x, y, box) in places.items():
        lines.append(
            f'  <rect x="{x}" y="{y}" width="{box}" height="{BOX_HEIGHT}" rx="5" fill="#eef3f8" stroke="#607080"/>'
        )
        lines.append(f'  <text x="{x + box // 2}" y="{y + 21}" text-anchor="middle">{name}</text>')
    return "".join(f"{line}\n" for line in [*lines, "</svg>"])


WRITERS: dict[str, Callable[[DependencyGraph], str]] = {"text": text, "mermaid": mermaid, "dot": dot, "svg": svg}
"""Format to its writer. Names of services are letters, digits, dots, hyphens and underscores: nothing to escape."""


def _arrow(start: tuple[int, int, int], end: tuple[int, int, int], edge: Edge) -> Iterator[str]:
    x1, y1 = start[0] + start[2], start[1] + BOX_HEIGHT // 2
    x2, y2 = end[0], end[1] + BOX_HEIGHT // 2
    bend = max((x2 - x1) // 2, MARGIN)
    dashes = "" if edge.required else ' stroke-dasharray="5 4"'
    yield (
        f'  <path d="M{x1} {y1}C{x1 + bend} {y1} {x2 - bend} {y2} {x2} {y2}" fill="none" stroke="#607080"'
        f'{dashes} marker-end="url(#to)"/>'
    )
    said = waits_for(edge)
    if said:
        yield (
            f'  <text x="{(x1 + x2) // 2}" y="{(y1 + y2) // 2 - 4}" text-anchor="middle" font-size="11"'
            f' fill="#405060">{said}</text>'
        )


def _columns(graph: DependencyGraph) -> list[list[str]]:
    """Services by the longest way to them from one that nothing needs; neighbours near what needs them."""
    depth: dict[str, int] = {}
    for name in reversed(graph.order()):
        depth[name] = max((depth[one] + 1 for one in graph.dependents(name)), default=0)
    columns: list[list[str]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name in graph:
        columns[depth[name]].append(name)
    rows: dict[str, float] = {}
    for column in columns:
        column.sort(key=lambda name: _mean([rows[one] for one in graph.dependents(name)]))
        rows.update({name: float(row) for row, name in enumerate(column)})
    return columns


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else 0.0


def _edges(graph: DependencyGraph) -> Iterator[tuple[str, str, Edge]]:
    for name in graph:
        for target, edge in graph.dependencies(name).items():
            yield name, target, edge

"""The dependency graph as text, for Mermaid, for Graphviz and as an image."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from compose.cli.render import graph
from compose.graph import DependencyGraph, Edge

HEALTHY = Edge("service_healthy")
DONE = Edge("service_completed_successfully", restart=True)
SMALL = DependencyGraph(
    {
        "web": {"api": HEALTHY, "cache": Edge(required=False)},
        "api": {"db": HEALTHY, "migrate": DONE},
        "migrate": {"db": Edge()},
        "db": {},
        "cache": {},
        "solo": {},
        "other": {"api": Edge()},
    }
)


def test_the_tree_shows_what_is_waited_for_and_nothing_twice() -> None:
    assert graph.text(SMALL) == (
        "web\n"
        "├── api (healthy)\n"
        "│   ├── db (healthy)\n"
        "│   └── migrate (completed, restart)\n"
        "│       └── db\n"
        "└── cache (optional)\n"
        "solo\n"
        "other\n"
        "└── api ...\n"
    )


def test_mermaid_draws_an_arrow_for_each_dependency() -> None:
    lines = graph.mermaid(SMALL).splitlines()
    assert lines[0] == "flowchart LR"
    assert '    s0["web"]' in lines
    assert "    s0 -->|healthy| s1" in lines
    assert "    s0 -.->|optional| s4" in lines
    assert "    s2 --> s3" in lines
    assert len(lines) == 1 + 7 + 6


def test_graphviz_gets_a_digraph() -> None:
    lines = graph.dot(SMALL).splitlines()
    assert (lines[0], lines[-1]) == ("digraph {", "}")
    assert '    "web" -> "api" [label="healthy"];' in lines
    assert '    "web" -> "cache" [label="optional", style=dashed];' in lines
    assert '    "migrate" -> "db";' in lines


def test_the_image_is_well_formed_and_boxes_do_not_overlap() -> None:
    root = ET.fromstring(graph.svg(SMALL))
    boxes = [
        tuple(int(box.attrib[key]) for key in ("x", "y", "width", "height"))
        for box in root.iter("{http://www.w3.org/2000/svg}rect")
        if "rx" in box.attrib
    ]
    assert len(boxes) == 7
    for index, (x, y, width, height) in enumerate(boxes):
        assert x + width <= int(root.attrib["width"])
        assert y + height <= int(root.attrib["height"])
        for left, top, *_ in boxes[index + 1 :]:
            assert not (x <= left < x + width and y <= top < y + height)
    names = {text.text for text in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"web", "api", "healthy", "completed, restart"} <= names


@pytest.mark.parametrize("format", sorted(graph.WRITERS))
def test_a_project_without_services_and_a_long_chain_are_drawn(format: str) -> None:
    writer = graph.WRITERS[format]
    writer(DependencyGraph({}))
    chain = {f"s{number}": {f"s{number + 1}": Edge()} for number in range(3000)}
    assert "s2999" in writer(DependencyGraph({**chain, "s3000": {}}))

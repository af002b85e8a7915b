"""The schema serves editors: the YAML language server finds mistakes, explains attributes and completes them by it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import schemas
from tests.kit.language_server import LanguageServer, find

if TYPE_CHECKING:
    from collections.abc import Iterator

GOOD = """\
name: app
services:
  web:
    image: nginx
    ports: ["80:80", {target: 81, published: 8081}]
    depends_on: {db: {condition: service_healthy}}
    environment: [A=1]
    pre_start: [{command: [x]}]
    x-note: anything
  db:
    image: postgres
    healthcheck: {test: x, interval: 5s}
volumes: {data: }
"""


@pytest.fixture(scope="module")
def server() -> Iterator[LanguageServer]:
    try:
        program = find()
    except LookupError as reason:
        pytest.skip(str(reason))
    with LanguageServer(program, os.path.join(schemas.DIRECTORY, "compose-spec.json")) as made:
        yield made


@pytest.mark.network
def test_an_editor_finds_nothing_wrong_with_a_good_file(server: LanguageServer) -> None:
    assert server.complaints(server.open("good.yaml", GOOD)) == []


@pytest.mark.network
@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("imagee: x", "imagee is not allowed"),
        ("image: 5", 'Expected "string"'),
        ("depends_on: {db: {condition: helthy}}", "service_healthy"),
        ("profiles: 5", 'Expected "array"'),
    ],
)
def test_an_editor_marks_a_mistake(server: LanguageServer, line: str, part: str) -> None:
    name = line.partition(":")[0]
    complaints = server.complaints(server.open(f"{name}-bad.yaml", f"services:\n  web:\n    {line}\n"))
    assert any(part in complaint for complaint in complaints), complaints


@pytest.mark.network
@pytest.mark.parametrize("line", range(2, 8))
def test_an_editor_explains_every_attribute(server: LanguageServer, line: int) -> None:
    address = server.open(f"hover{line}.yaml", GOOD)
    said = server.hover(address, line, 6 if line > 2 else 4)
    assert len(said) > 20


@pytest.mark.network
def test_an_editor_completes_attributes_and_values(server: LanguageServer) -> None:
    text = "services:\n  web:\n    image: x\n    \n"
    names = server.completions(server.open("complete.yaml", text), 3, 4)
    assert {"build", "ports", "healthcheck", "depends_on"} <= names
    assert "image" not in names
    text = "services:\n  web:\n    depends_on:\n      db:\n        condition: \n"
    values = server.completions(server.open("values.yaml", text), 4, 19)
    assert {"service_started", "service_healthy", "service_completed_successfully"} <= values

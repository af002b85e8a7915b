"""The schemas are JSON schemas like any other, and our reading of them agrees with the library's."""

from __future__ import annotations

import glob
import os
from typing import Any

import jsonschema
import pytest
import yaml

import schemas
from compose.errors import LoadError
from compose.loader.environment import Environment
from compose.loader.interpolate import interpolate
from compose.loader.report import Report
from compose.loader.tree import Map, plain
from compose.loader.validate import validate
from compose.loader.yamlio import read

CASES = os.path.join(os.path.dirname(__file__), "..", "..", "conformance", "loader", "cases")


def test_the_schema_is_valid_and_describes_every_attribute() -> None:
    schema = schemas.load("compose-spec")
    jsonschema.Draft7Validator.check_schema(schema)

    def walk(node: Any, path: str) -> None:
        if isinstance(node, dict):
            for name, below in node.get("properties", {}).items():
                assert below.get("description"), f"{path}.{name}"
            for key, below in node.items():
                walk(below, f"{path}.{key}")
        elif isinstance(node, list):
            for below in node:
                walk(below, path)

    walk(schema, "")


def _documents() -> list[Any]:
    found = []
    for path in sorted(glob.glob(os.path.join(CASES, "*.yaml"))):
        with open(path, encoding="utf-8") as file:
            for entry in yaml.load(file, yaml.CSafeLoader):
                text = entry.get("yaml") or entry.get("files", {}).get("compose.yaml", "")
                if (
                    entry.get("refused") is None
                    or "must be" in str(entry["refused"])
                    or "not allowed" in str(entry["refused"])
                ):
                    found.append((entry["name"], text))
    return found


def test_our_validator_agrees_with_the_library() -> None:
    schema = schemas.load("compose-spec")
    library = jsonschema.Draft7Validator(schema)
    compared = 0
    for name, text in _documents():
        try:
            documents = read(text, "f")
        except LoadError:
            continue
        for document in documents:
            if not isinstance(document.root, Map) or "<<" in text:
                continue
            report = Report()
            interpolate(document.root, Environment({}, Report()), Report())
            valid = library.is_valid(plain(document.root))
            validate(document.root, schema, report)
            assert valid == (not report.problems), name
            compared += 1
    assert compared > 400


@pytest.mark.parametrize("text", ["services: {a: {image: x, foo: 1}}", "services: {a: {ports: [[1]]}}", "name: 5"])
def test_both_refuse(text: str) -> None:
    schema = schemas.load("compose-spec")
    root = read(text, "f")[0].root
    assert not jsonschema.Draft7Validator(schema).is_valid(plain(root))
    report = Report()
    validate(root, schema, report)
    assert len(report.problems) == 1

"""The schemas are JSON schemas like any other, and our reading of them agrees with the library's."""

from __future__ import annotations

import glob
import os
from typing import Any

import jsonschema
import pytest
import yaml

import schemas
import schemas.legacy
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


@pytest.mark.parametrize("version", schemas.legacy.VERSIONS)
def test_every_legacy_schema_is_a_valid_one(version: str) -> None:
    schema = schemas.load(version)
    jsonschema.Draft7Validator.check_schema(schema)
    assert "$ref" not in str(schema)


LEGACY = {
    # attribute of a service: versions that know it, one that does not
    "depends_on: {b: {condition: service_healthy}}": (("2.1", "2.4"), "3.8"),
    "extends: b": (("2.0", "2.4"), "3.0"),
    "init: true": (("2.2", "3.7", "3.13"), "3.6"),
    "deploy: {replicas: 2}": (("3.0", "3.13"), "2.4"),
    "secrets: [s]": (("3.1", "3.8"), "3.0"),
    "configs: [c]": (("3.3", "3.8"), "3.2"),
    "ports: [{target: 80, published: 80}]": (("3.2", "3.13"), "3.1"),
    "volumes: [{type: bind, source: /a, target: /b}]": (("2.3", "3.2"), "3.1"),
    "mem_limit: 5m": (("2.0", "2.4"), "3.8"),
    "scale: 2": (("2.2", "2.4"), "3.8"),
    "build: {context: ., target: t}": (("2.3", "3.4"), "3.3"),
    "healthcheck: {test: x, start_period: 5s}": (("2.3", "3.4"), "3.3"),
    "profiles: [p]": ((), "3.8"),
    "x-foo: 1": (("2.4", "3.7"), "3.6"),
}


@pytest.mark.parametrize("attribute", sorted(LEGACY))
def test_legacy_versions_know_their_attributes_only(attribute: str) -> None:
    known, unknown = LEGACY[attribute]
    for version in (*known, unknown):
        text = f"version: '{version}'\nservices:\n  a:\n    image: x\n    {attribute}\n  b: {{image: y}}\n"
        root = read(text, "f")[0].root
        library = jsonschema.Draft7Validator(schemas.load(version)).is_valid(plain(root))
        report = Report()
        validate(root, schemas.load(version), report)
        assert library == (not report.problems) == (version in known), version


def test_a_file_of_an_old_version_must_name_it_from_3_on() -> None:
    report = Report()
    validate(read("services: {a: {image: x}}", "f")[0].root, schemas.load("3.8"), report)
    assert "missing property 'version'" in str(report.problems[0][1])

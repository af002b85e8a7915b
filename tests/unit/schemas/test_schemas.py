"""The schemas are JSON schemas like any other; what the loader makes of the library's errors."""

from __future__ import annotations

from typing import Any

import jsonschema
import pytest

import schemas
import schemas.legacy
from compose.loader.report import Report
from compose.loader.tree import plain
from compose.loader.validate import validate, validator
from compose.loader.yamlio import read


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


def _problems(text: str, schema: str = "compose-spec") -> tuple[Any, list[str]]:
    root = read(text, "f")[0].root
    report = Report()
    validate(root, schema, report)
    return root, [str(problem) for _, problem in report.problems]


@pytest.mark.parametrize("version", ["compose-spec", "2.4", "3.8"])
def test_the_loader_checks_with_what_the_schema_says_without_references_and_descriptions(version: str) -> None:
    prepared = str(validator(version).schema)
    assert "$ref" not in prepared
    assert "'description'" not in prepared
    validator(version).check_schema(validator(version).schema)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("services: {a: {image: 5}}", "f:1:16: services.a.image must be a string; expected a string, not the number 5"),
        (
            "services: {a: {ports: {b: 1}}}",
            "f:1:16: services.a.ports must be a array; expected a list, not a mapping",
        ),
        (
            "services: {a: {depends_on: {b: {condition: nope}}}}",
            "f:1:33: services.a.depends_on.b.condition value must be one of 'service_started', 'service_healthy'",
        ),
        (
            "services: {a: {build: {contxt: .}}}",
            "f:1:24: services.a.build additional properties 'contxt' not allowed; did you mean \"context\"?",
        ),
        (
            "services: {a: {environment: [[x]]}}",
            "f:1:30: services.a.environment[0] must be a string; expected a string, not a list",
        ),
        (
            "services: {a: {cap_add: [A, B, A]}}",
            "f:1:32: services.a.cap_add items at 0 and 2 are equal; expected different items (see f:1:26)",
        ),
        (
            "services: {a: {oom_score_adj: -5000}}",
            "f:1:16: services.a.oom_score_adj must be greater than or equal to -1000",
        ),
    ],
)
def test_an_error_of_the_library_names_place_path_and_the_alternative_that_was_meant(text: str, problem: str) -> None:
    assert problem in _problems(text)[1][0]


def test_faulty_values_are_taken_out_and_the_rest_stays() -> None:
    root, problems = _problems("services: {a: {image: x, foo: 1, ports: [80, [1], 81, {}, 82], init: 5}}")
    assert len(problems) == 3
    assert plain(root) == {"services": {"a": {"image": "x", "ports": [80, 81, {}, 82]}}}


def test_a_date_is_no_string_and_a_name_does_not_end_in_a_line_break() -> None:
    assert "not a date" in _problems("services: {a: {image: 2020-01-01}}")[1][0]
    assert "additional properties" in _problems('services: {"a\\n": {image: x}}')[1][0]


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
        assert (_problems(text, version)[1] == []) == (version in known), version


def test_a_file_of_an_old_version_must_name_it_from_3_on() -> None:
    assert "missing property 'version'" in _problems("services: {a: {image: x}}", "3.8")[1][0]

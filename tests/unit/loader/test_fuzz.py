"""No input ends in a traceback: whatever the file holds, it is loaded or refused with a problem."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import schemas
from compose.errors import ComposeError
from compose.loader.options import LoadOptions
from compose.loader.pipeline import load, model_tree
from compose.loader.variables import variables
from compose.model.marshal import project_tree

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    database=None,
    derandomize=True,
)
PIECES = (
    "services:", " web:", "\n", "  ", "\n  ", "\n    ", "image: x", "- ", ": ", "{", "}", "[", "]", "&a ", "*a", "<<: *a", "!reset ",
    "!override null", "!!str ", "|\n", ">-\n", "'", '"', "#", "\t", "---\n", "...\n", "${", "$$", "${A:-", "${A?", "}", "\\", "%", "@",
    "? ", "~", "0x1", "1e999", "-", "2001-01-01", "\x85", "\u2028", "é", "\U0001f600", "ports", "depends_on", "x-", "include: [",
    "extends: web", "null", "environment",
)  # fmt: skip
SERVICE_KEYS = sorted(schemas.load("compose-spec")["definitions"]["service"]["properties"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    st.sampled_from(
        ["80:80", "a=b", "/a:/b", "5s", "10m", "service:web", "${A}", "${A:?x}", "1-2:3-4", "::", "a:b:c:d"]
    ),
)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(
        st.lists(below, max_size=4),
        st.dictionaries(st.one_of(st.text(max_size=6), st.sampled_from(SERVICE_KEYS)), below, max_size=4),
    ),
    max_leaves=8,
)


def _try(path: Path, text: str) -> None:
    (path / "compose.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    options = LoadOptions(cwd=str(path), environ={"HOME": "/home/x", "A": "1"})
    for attempt in (
        lambda: project_tree(load(options), json=True),
        lambda: model_tree(options.replace(interpolate=False)),
        lambda: variables(options),
        lambda: load(options.replace(schema="3.8", normalize=False, consistency=False)),
    ):
        try:
            attempt()
        except ComposeError:
            continue  # a refusal is an answer; anything else ends the test


@given(st.lists(st.sampled_from(PIECES), max_size=30))
@SETTINGS
def test_scraps_of_yaml_are_loaded_or_refused(tmp_path: Path, pieces: list[str]) -> None:
    _try(tmp_path, "".join(pieces))


@given(st.text(max_size=60))
@SETTINGS
def test_any_text_is_loaded_or_refused(tmp_path: Path, text: str) -> None:
    _try(tmp_path, text)


@given(st.dictionaries(st.sampled_from(SERVICE_KEYS), VALUES, max_size=4))
@SETTINGS
def test_any_value_of_any_attribute_is_loaded_or_refused(tmp_path: Path, service: dict[str, Any]) -> None:
    _try(tmp_path, json.dumps({"services": {"web": {"image": "x", **service}, "db": {"image": "y"}}}))


@given(
    st.dictionaries(
        st.sampled_from(["services", "networks", "volumes", "secrets", "configs", "models", "include", "name", "x-a"]),
        st.one_of(VALUES, st.dictionaries(st.text(max_size=5), VALUES, max_size=3)),
        max_size=4,
    )
)
@SETTINGS
def test_any_value_at_the_top_is_loaded_or_refused(tmp_path: Path, document: dict[str, Any]) -> None:
    _try(tmp_path, json.dumps(document))


@given(st.lists(st.sampled_from([*PIECES, "A=", "export ", "=", "\n", "B='", "#"]), max_size=20), st.booleans())
@SETTINGS
def test_any_env_file_is_read_or_refused(tmp_path: Path, pieces: list[str], raw: bool) -> None:
    (tmp_path / "v.env").write_bytes("".join(pieces).encode("utf-8", "surrogatepass"))
    format = ", format: raw" if raw else ""
    _try(tmp_path, f"services: {{web: {{image: x, env_file: [{{path: v.env{format}}}]}}}}")

"""YAML as Compose's Go library writes it."""

from __future__ import annotations

import random
from functools import cmp_to_key

import pytest
import yaml

from compose.cli.render import goyaml


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("plain", "plain"),
        ("1000", '"1000"'),
        ("0x1F", '"0x1F"'),
        ("1e3", '"1e3"'),
        ("1_000", '"1_000"'),
        (".5", '".5"'),
        ("yes", '"yes"'),
        ("On", '"On"'),
        ("null", '"null"'),
        ("~", '"~"'),
        ("", '""'),
        ("12:30", '"12:30"'),
        ("2026-01-02", '"2026-01-02"'),
        (".inf", '".inf"'),
        ("1.2.3", "1.2.3"),
        ("10s", "10s"),
        ("a: b", "'a: b'"),
        ("#c", "'#c'"),
        ("*x", "'*x'"),
        ("- x", "'- x'"),
        ("it's: 'so'", "'it''s: ''so'''"),
        ("x # y", "'x # y'"),
        ("bell\x07", '"bell\\a"'),
        ("日本", "日本"),
        ("😀", '"\\U0001F600"'),
        ("a\tb", '"a\\tb"'),
    ],
)
def test_texts_are_quoted_when_they_would_be_read_as_something_else(text: str, written: str) -> None:
    assert goyaml.dump({"k": text}) == f"k: {written}\n"
    assert yaml.safe_load(goyaml.dump({"k": text})) == {"k": text}


def test_lists_are_indented_and_lines_are_kept() -> None:
    assert goyaml.dump(
        {"a": {"b": ["x", {"c": 1, "d": None}], "e": {}, "f": []}, "t": "one\ntwo\n", "w": "a " * 99}
    ) == (
        "a:\n  b:\n    - x\n    - c: 1\n      d: null\n  e: {}\n  f: []\nt: |\n  one\n  two\nw: '" + "a " * 99 + "'\n"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0.5, "0.5"),
        (2.0, "2"),
        (-0.0, "-0"),
        (123456.7, "123456.7"),
        (1234567.0, "1.234567e+06"),
        (1e21, "1e+21"),
        (1e-7, "1e-07"),
        (0.0001, "0.0001"),
        (float("inf"), ".inf"),
    ],
)
def test_numbers_are_gos(value: float, written: str) -> None:
    assert goyaml.dump({"k": value}) == f"k: {written}\n"


def test_map_keys_are_ordered_by_number_and_letters_last() -> None:
    keys = ["a", "a1", "a2", "a10", "a_b", "ab", "E[0]", "EMPTY", "_x", "1", "10", "2", "a01", "a1b"]
    random.Random(1).shuffle(keys)
    ordered = sorted(keys, key=cmp_to_key(goyaml.compare_keys))
    assert ordered == ["_x", "1", "2", "10", "E[0]", "EMPTY", "a", "a_b", "a1", "a1b", "a01", "a2", "a10", "ab"]


def test_objects_keep_their_order_and_extensions_are_maps() -> None:
    data = {"name": "p", "services": {"web": {"image": "i", "command": None}}, "x-a": {"z": 1, "b": 2}}
    text = goyaml.dump(data)
    assert text.index("image") < text.index("command")
    assert text.index("b: 2") < text.index("z: 1")


def test_text_that_ends_in_dots_keeps_them() -> None:
    assert goyaml.dump({"a": "é...", "b": "x\n...\n", "c": "y\n\n"}) == "a: é...\nb: |\n  x\n  ...\nc: |+\n  y\n\n"


def test_what_reads_as_a_number_too_big_for_go_is_text() -> None:
    text = "1e400", "0x1ffffffffffffffff", "2001-02-30", "2001-12-14 21:59:43 -5", "<<"
    assert goyaml.dump(list(text)) == "".join(f"- {each}\n" for each in text)
    quoted = "1e40", "0x1ffffffffffffff", "2001-02-28", "2001-12-14 21:59:43"
    assert goyaml.dump(list(quoted)) == "".join(f'- "{each}"\n' for each in quoted)


def test_a_service_may_be_called_like_an_extension() -> None:
    service = {"image": "x", "ports": [{"target": 80, "protocol": "tcp"}]}
    assert "      - target: 80\n        protocol: tcp\n" in goyaml.dump({"services": {"x-web": service}})
    assert "  - protocol: tcp\n    target: 80\n" in goyaml.dump({"x-web": service["ports"]})

"""Files of variables."""

from __future__ import annotations

import pytest

from compose.loader.dotenv import parse, parse_raw

OUTSIDE = {"V": "val", "OUT": "outer"}


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("A=1\nB = 2 \n export C=3\n", {"A": "1", "B": "2", "C": "3"}),
        ("A='lit $V'\nB=\"dq $V\"\nC=$V\n", {"A": "lit $V", "B": "dq val", "C": "val"}),
        ("A=\"a\\nb\\\"c\\$V\"\nB='a\\nb\\'c'\n", {"A": 'a\nb"c$V', "B": "a\\nb'c"}),
        ('A="line1\nline2"\nB=2\n', {"A": "line1\nline2", "B": "2"}),
        ("A=1 # no\nB=1#yes\n# c\nC='# in' # out\n", {"A": "1", "B": "1#yes", "C": "# in"}),
        ("OUT\nNOPE\nA: yaml\n", {"OUT": "outer", "A": "yaml"}),
        ("A=1\nB=${A}${NOPE:-d}$$X\n", {"A": "1", "B": "1d$X"}),
        ("\ufeffA=1\r\nB=\r\n", {"A": "1", "B": ""}),
        ("OUT", {"OUT": "outer"}),
    ],
)
def test_the_dialect(text: str, variables: dict[str, str]) -> None:
    assert parse(text, "f", OUTSIDE.get) == variables


def test_raw_values_are_taken_literally() -> None:
    assert parse_raw("A='x' # c\nB=\"$V\"\nOUT\nNOPE\n# c\n", "f", OUTSIDE.get) == {
        "A": "'x' # c",
        "B": '"$V"',
        "OUT": "outer",
    }

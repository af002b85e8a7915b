"""Paths and patterns of COPY, as Go's filepath package has them."""

from __future__ import annotations

import pytest

from runtime.build import gopath
from runtime.errors import InvalidParameter


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("abc", "abc", True),
        ("*", "abc", True),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("[^a]", "/", False),
        (r"a\*b", "a*b", True),
        (r"a\*b", "ab", False),
        ("*x", "xxx", True),
        ("a[", "ab", None),
        ("a\\", "a", None),
        ("[-]", "-", None),
        ("[x-]", "x", None),
        ("[]a]", "]", None),
        ("[b-a]", "a", False),
    ],
)
def test_patterns_match_as_in_go(pattern: str, name: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(InvalidParameter, match="syntax error in pattern"):
            gopath.match(pattern, name)
    else:
        assert gopath.match(pattern, name) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ("/", "")),
        ("a/b", ("/a/b", "")),
        ("a/b*/c", ("/a", "b*/c")),
        (r"a/b\*", (r"/a/b\*", "")),
        ("../x*", ("/", "x*")),
        ("*", ("/", "*")),
    ],
)
def test_wildcards_are_split_off_at_the_first_component_that_has_one(path: str, expected: tuple[str, str]) -> None:
    assert gopath.split_wildcards(path) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("a//b/../c", "/a/c"), ("/a/", "/a/"), ("/", "/"), ("a/.", "/a/."), (".", "/"), ("../../x", "/x"), ("//x", "/x")],
)
def test_cleaning_keeps_what_says_that_a_directory_is_meant(path: str, expected: str) -> None:
    assert gopath.clean_keeping_slash(path) == expected

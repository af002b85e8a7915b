"""Words: what BuildKit's lexer made of each was measured on a real one (tests/peer/build asks it again)."""

from __future__ import annotations

import time

import pytest

from runtime.build.dockerfile.lexer import LONGEST, expand, expand_text, expand_words, raw_words
from runtime.build.dockerfile.problem import DockerfileError

VALUES = {"A": "abcabc", "E": "", "P": "/usr/lib/x", "S": "*b?", "D": "$2", "W": "a b  c"}

EXPANDED = [
    (r"$A", "abcabc"),
    (r"${A}", "abcabc"),
    (r'"$A"', "abcabc"),
    (r"'$A'", "$A"),
    (r"\$A", "$A"),
    (r'"\$A"', "$A"),
    (r"a\ b", "a b"),
    (r'"a b"c', "a bc"),
    (r"${B:-x}", "x"),
    (r"${B-x}", "x"),
    (r"${E:-x}", "x"),
    (r"${E-x}", ""),
    (r"${A:+x}", "x"),
    (r"${B:+x}", ""),
    (r"${E+x}", "x"),
    (r"${E:+x}", ""),
    (r"${A:?no}", "abcabc"),
    (r"${E?no}", ""),
    (r"${A#a}", "bcabc"),
    (r"${A##*b}", "c"),
    (r"${A#*b}", "cabc"),
    (r"${A%b*}", "abca"),
    (r"${A%%b*}", "a"),
    (r"${A/b/q}", "aqcabc"),
    (r"${A//b/q}", "aqcaqc"),
    (r"${A//b/}", "acac"),
    (r"${A/?c/\/}", r"a\/abc"),
    (r"${A//b/\}}", r"a\}ca\}c"),
    (r"${P##*/}", "x"),
    (r"${P%/*}", "/usr/lib"),
    (r"${P//\//-}", "-usr-lib-x"),
    (r"${A//[ab]/x}", "abcabc"),
    (r"${A/a*/<>}", "<>"),
    (r"${A//*/x}", "x"),
    (r"${B:-${A}}", "abcabc"),
    (r'${B:-${A:+"x y"}}', "x y"),
    (r"${B:-'$A'}", "$A"),
    (r"${S#\*}", "b?"),
    (r"${S%\?}", "*b"),
    (r"${S/\?/Q}", "*bQ"),
    (r"${A//a/$D}", "bcbc"),
    (r"${A/a/$D}", "$2bcabc"),
    (r"$1x", "x"),
    (r"$$", ""),
    (r"$", "$"),
    (r"a$", "a$"),
    (r"${0}", ""),
    (r'''"a'b"''', "a'b"),
    (r"""'a"b'""", 'a"b'),
    (r'"a\b"', r"a\b"),
    (r"'a\b'", r"a\b"),
    (r"a\b", "ab"),
    (r'"\\"', "\\"),
    ("<<x", "<<x"),
    ("a<b", "a<b"),
    ("$Ax", ""),
    ("$A.x", "abcabc.x"),
    ("${A}x", "abcabcx"),
    ("a\\", "a"),
    ('""', ""),
    ("`$A`", "`abcabc`"),
    ("plain", "plain"),
]

BAD = [
    ("${}", "bad substitution"),
    ("${:x}", "bad substitution"),
    ("${", "missing '}'"),
    ("${A", "missing '}'"),
    ('${A:-"open}', "missing '}'"),
    ("${A:0:1}", "unsupported modifier (:0)"),
    ("${A!x}", "unsupported modifier (!)"),
    ("${A:#a}", "unsupported modifier (:#)"),
    ("${A^^}", "unsupported modifier (^)"),
    ("${B:?no}", "B: no"),
    ("${B?gone}", "B: gone"),
    ("${B:?}", "B: is not allowed to be unset"),
    ("${E:?}", "E: is not allowed to be empty"),
    ("${A/b}", "missing '/' in ${}"),
    ("${A//}", "missing '/' in ${}"),
    (r"${A#\q}", r"invalid escape '\q'"),
    ('"a', "matching double-quote"),
    ("'a", "matching single-quote"),
]


@pytest.mark.parametrize(("word", "value"), EXPANDED)
def test_a_word_expands_as_buildkit_has_it(word: str, value: str) -> None:
    assert expand(word, VALUES.get) == value


@pytest.mark.parametrize(("word", "message"), BAD)
def test_a_bad_word_is_refused_with_its_reason(word: str, message: str) -> None:
    with pytest.raises(DockerfileError) as caught:
        expand(word, VALUES.get)
    assert message in caught.value.text


def test_the_backtick_escapes_in_its_place() -> None:
    assert expand('`$A "`"" \\$A', VALUES.get, "`") == '$A " \\abcabc'


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("a b", ["a", "b"]),
        ("$W", ["a", "b", "c"]),
        ('"$W"', ["a b  c"]),
        ("x${W}y", ["xa", "b", "cy"]),
        (r"a\ b c", ["a b", "c"]),
        ("$E", []),
        ('""', []),
        ("${B:-80 90}", ["80", "90"]),
    ],
)
def test_words_part_at_blanks_of_values_but_not_of_quotes(word: str, words: list[str]) -> None:
    assert expand_words(word, VALUES.get) == words


def test_in_a_here_document_quotes_are_plain() -> None:
    assert expand_text("'$A' \"${E:-x}\" \\$A\n", VALUES.get) == "'abcabc' \"x\" $A\n"


def test_raw_words_keep_what_is_asked_for() -> None:
    assert raw_words("cat <<-'E F' a\\ b $x", keep_quotes=True, keep_escapes=True) == [
        "cat",
        "<<-'E F'",
        "a\\ b",
        "$x",
    ]


def test_a_value_that_doubles_itself_ends_at_the_limit() -> None:
    values = {"a": "x" * (LONGEST // 2 + 1)}
    with pytest.raises(DockerfileError, match="more than"):
        expand("$a$a", values.get)


def test_nesting_without_end_is_refused() -> None:
    with pytest.raises(DockerfileError, match="inside one another"):
        expand("${b:-" * 5000 + "x" + "}" * 5000, VALUES.get)


def test_a_pattern_of_many_stars_takes_no_time() -> None:
    started = time.monotonic()
    value = "a" * 5000
    assert expand("${v##" + "*a" * 30 + "*b}", {"v": value}.get) == value
    assert time.monotonic() - started < 2

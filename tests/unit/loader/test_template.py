"""The grammar of variables."""

from __future__ import annotations

import pytest

from compose.loader.template import InvalidTemplate, MissingRequired, TemplateError, Variable, substitute, variables

VALUES = {"V": "val", "E": "", "_X1": "under"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("$V ${V} $_X1", "val val under"),
        ("$$V $${V} $$$V", "$V ${V} $val"),
        ("a $ b $1 $", "a $ b $1 $"),
        ("${U:-d}${U-d}${E:-d}${E-d}", "ddd"),
        ("${V:+a}${V+a}${E:+a}${E+a}${U:+a}${U+a}", "aaa"),
        ("${V:?e}${V?e}${E?e}", "valval"),
        ("${U:-a${W:-b${V}}c}d", "abvalcd"),
        ('${U:-{"a": 1}}', '{"a": 1}'),
        ("${U:-a}b}", "ab}"),
    ],
)
def test_every_form_has_its_value(text: str, value: str) -> None:
    assert substitute(text, VALUES.get) == value


@pytest.mark.parametrize("text", ["${V", "${}", "${1A}", "${A!b}", "${V:x}", "${ V}", "${U:-a\nb}", "${U:-${V}"])
def test_what_is_none_of_the_forms_is_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate):
        substitute(text, VALUES.get)


def test_a_required_variable_is_asked_for_with_its_reason() -> None:
    with pytest.raises(MissingRequired, match="required variable U is missing a value: set val"):
        substitute("${U:?set ${V}}", VALUES.get)


def test_unset_variables_are_told_of_unless_they_have_a_default() -> None:
    heard: list[str] = []
    assert substitute("$U ${W} ${Y:-d}", VALUES.get, heard.append) == "  d"
    assert heard == ["U", "W"]


def test_nesting_and_growth_are_bounded() -> None:
    with pytest.raises(TemplateError, match="nests deeper"):
        substitute("${A:-" * 200 + "x" + "}" * 200, VALUES.get)
    with pytest.raises(TemplateError, match="more than 1 MiB"):
        substitute("$A$A", {"A": "x" * 600_000}.get)


def test_the_variables_of_a_template_are_listed_with_their_defaults() -> None:
    assert variables("$A ${B:-x${C-y}} ${D:?no} ${E+z} $$F") == [
        Variable("A"),
        Variable("B", default="x${C-y}"),
        Variable("C", default="y"),
        Variable("D", required=True),
        Variable("E", presence="z"),
    ]

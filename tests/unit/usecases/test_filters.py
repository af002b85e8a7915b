"""Docker's filters."""

from __future__ import annotations

import pytest

from compose.errors import ComposeError, UsageError
from compose.usecases.filters import Filters

KNOWN = ("dangling", "driver", "label", "label!", "name")


def test_names_are_regular_expressions_and_alternatives() -> None:
    filters = Filters(["name=^web$", "name=db"], KNOWN)
    assert filters.matches("name", "web")
    assert filters.matches("name", "app_db_1")
    assert not filters.matches("name", "webserver")
    assert Filters([], KNOWN).matches("name", "anything")


def test_drivers_are_compared_as_a_whole() -> None:
    filters = Filters(["driver=bridge"], KNOWN)
    assert filters.exactly("driver", "bridge")
    assert not filters.exactly("driver", "bridged")


def test_labels_must_all_be_there_with_their_values_if_given() -> None:
    filters = Filters(["label=a", "label=b=1"], KNOWN)
    assert filters.labelled({"a": "x", "b": "1"})
    assert not filters.labelled({"a": "x", "b": "2"})
    assert not filters.labelled({"b": "1"})


def test_a_prune_spares_what_has_all_labels_that_shall_be_spared() -> None:
    filters = Filters(["label!=keep=yes"], KNOWN)
    assert filters.keeps({"keep": "yes"})
    assert not filters.keeps({"keep": "no"})
    assert not Filters([], KNOWN).keeps({"keep": "yes"})


@pytest.mark.parametrize(("text", "value"), [("1", True), ("true", True), ("0", False), ("false", False)])
def test_a_boolean_has_dockers_spellings(text: str, value: bool) -> None:
    assert Filters([f"dangling={text}"], KNOWN).boolean("dangling") is value


def test_what_is_no_filter_is_refused_as_docker_refuses_it() -> None:
    with pytest.raises(UsageError, match="bad format of filter") as bad:
        Filters(["name"], KNOWN)
    assert bad.value.exit_code == 125
    with pytest.raises(ComposeError, match="invalid filter 'foo'") as unknown:
        Filters(["foo=x"], KNOWN)
    assert unknown.value.exit_code == 1
    with pytest.raises(ComposeError, match=r"invalid filter 'dangling=\[x\]'"):
        Filters(["dangling=x"], KNOWN).boolean("dangling")
    with pytest.raises(ComposeError, match="invalid filter 'name'"):
        Filters(["name=("], KNOWN).matches("name", "x")

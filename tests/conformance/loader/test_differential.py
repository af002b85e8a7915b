"""Every case of `cases/` means the same to us and to the reference: data, hashes, accepted or refused."""

from __future__ import annotations

import glob
import os
from typing import Any

import pytest
import yaml

from tests.conformance.loader.differential import SWITCHES, differences, flag_differences, ours, peers
from tests.kit.peer_compose import Case

HERE = os.path.dirname(__file__)


def _cases(only: str = "*") -> list[Any]:
    found: list[Any] = []
    for path in sorted(glob.glob(os.path.join(HERE, "cases", f"{only}.yaml"))):
        topic = os.path.basename(path).removesuffix(".yaml")
        with open(path, encoding="utf-8") as file:
            entries = yaml.load(file, yaml.CSafeLoader)
        found.extend(pytest.param(entry, id=f"{topic}-{entry['name'].replace(' ', '-')}") for entry in entries)
    return found


def make(entry: dict[str, Any]) -> Case:
    """The case of an entry: `yaml` is compose.yaml, `files` the others."""
    files = dict(entry.get("files", {}))
    if "yaml" in entry:
        files["compose.yaml"] = entry["yaml"]
    return Case(files, entry.get("args", []), entry.get("env", {}), entry.get("stdin", ""))


@pytest.mark.peer
@pytest.mark.parametrize("entry", _cases())
def test_a_case_means_the_same_to_both_programs(entry: dict[str, Any]) -> None:
    case = make(entry)
    refused = entry.get("refused")
    if refused is None and not entry.get("differs"):
        assert differences(case) == []
        assert "error" not in ours(case), "a refused case says `refused:` with the phrase"
        return
    mine, theirs = ours(case), peers(case)
    if entry.get("differs"):  # a documented difference: we refuse, or accept, what the reference does not
        assert ("error" in mine) != ("error" in theirs), entry["differs"]
        return
    assert "error" in theirs, "the reference accepts it"
    assert "error" in mine
    if isinstance(refused, str):
        assert refused in theirs["error"]
        assert refused in mine["error"]


@pytest.mark.peer
@pytest.mark.parametrize("flag", sorted(SWITCHES))
@pytest.mark.parametrize("topic", ["build", "extends", "include", "merge", "project"])
def test_config_means_the_same_with_a_phase_switched_off(topic: str, flag: str) -> None:
    cases = [param.values[0] for param in _cases(topic)]
    found = {
        entry["name"]: flag_differences(make(entry), [flag]) for entry in cases if flag not in entry.get("not", ())
    }
    assert {name: each for name, each in found.items() if each} == {}

"""Every case of `cases/` means the same to us and to the reference: data, hashes, accepted or refused."""

from __future__ import annotations

import glob
import os
from typing import Any

import pytest
import yaml

from tests.conformance.loader.differential import differences, ours, peers
from tests.kit.peer_compose import Case

HERE = os.path.dirname(__file__)


def _cases() -> list[Any]:
    found = []
    for path in sorted(glob.glob(os.path.join(HERE, "cases", "*.yaml"))):
        topic = os.path.basename(path).removesuffix(".yaml")
        with open(path, encoding="utf-8") as file:
            for entry in yaml.load(file, yaml.CSafeLoader):
                found.append(pytest.param(entry, id=f"{topic}-{entry['name'].replace(' ', '-')}"))
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
    if "error" in theirs and isinstance(refused, str):
        assert refused in theirs["error"]
    if "error" in mine or refused:
        assert refused is True or refused in mine["error"]

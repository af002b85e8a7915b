"""Warnings, in BuildKit's names and words."""

from __future__ import annotations

import pytest

from runtime.build.dockerfile.parser import parse
from runtime.build.dockerfile.problem import DockerfileError


def rules(text: str) -> list[tuple[str, int]]:
    return [(warning.rule, warning.line) for warning in parse(text).warnings]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('FROM a AS b\nRUN x\nCMD ["x"]', []),
        ("FROM a AS Bc", [("StageNameCasing", 1)]),
        ("FROM a as b", [("FromAsCasing", 1)]),
        ("from a AS b", [("FromAsCasing", 1)]),
        ("FROM a\nrun x\nRUN y", [("ConsistentInstructionCasing", 2)]),
        ("FROM a\nRun x", [("ConsistentInstructionCasing", 2)]),
        ("FROM a AS b\nFROM c AS b", [("DuplicateStageName", 2)]),
        ("FROM a AS scratch", [("ReservedStageName", 1)]),
        ("FROM a\nCMD x", [("JSONArgsRecommended", 2)]),
        ('FROM a\nENTRYPOINT ["x"] # y', [("JSONArgsRecommended", 2)]),
        ("FROM a\nMAINTAINER x", [("MaintainerDeprecated", 2)]),
        ("FROM a\nENV k v\nLABEL k v", [("LegacyKeyValueFormat", 2), ("LegacyKeyValueFormat", 3)]),
        ("FROM a\nCMD []\nCMD []", [("MultipleInstructionsDisallowed", 2)]),
        ("FROM a\nCMD []\nFROM a\nCMD []", []),
        ("FROM a\nRUN a \\\n\n b", [("NoEmptyContinuation", 4)]),
        ("FROM a\nARG DB_PASSWORD\nENV x=1 API_KEY=2", [("SecretsUsedInArgOrEnv", 2), ("SecretsUsedInArgOrEnv", 3)]),
        ("FROM a\nARG PUBLIC_KEY TOKEN_FILE keyboard", []),
        ("# check=skip=StageNameCasing,fromascasing\nFROM a as Bc", []),
        ("# check=skip=all\nFROM a as Bc\nCMD x", []),
    ],
)
def test_what_is_likely_a_mistake_is_said(text: str, found: list[tuple[str, int]]) -> None:
    assert rules(text) == found


def test_a_file_may_want_its_warnings_to_be_errors() -> None:
    with pytest.raises(DockerfileError, match=r"^Dockerfile:2: StageNameCasing: Stage name 'B' should be lowercase$"):
        parse("# check=error=true\nFROM a AS B")

"""Files combined at random mean the same to us and to the reference."""

from __future__ import annotations

from random import Random

import pytest

from tests.conformance.loader.differential import differences
from tests.conformance.loader.generate import project
from tests.kit.peer_compose import Case

SEEDS = range(60)


@pytest.mark.peer
@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_combination_means_the_same_to_both_programs(seed: int) -> None:
    random = Random(seed)
    args = random.choice([[], ["--profile", "p"]])
    case = Case(project(random), args, {"V": "val"})
    assert differences(case, conflicts=False) == []  # what clashes by chance is only refused by us

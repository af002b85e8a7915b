"""Files combined at random, and odd values at random places, mean the same to us and to the reference."""

from __future__ import annotations

from random import Random

import pytest

from tests.conformance.loader import generate_files, generate_merge, generate_values
from tests.conformance.loader.differential import differences
from tests.conformance.loader.generate import project
from tests.kit.peer_compose import Case

SEEDS = range(60)
GROUPS = range(8)
"""Several seeds a test: the answers are kept, so that a test is mostly our own work."""
SEEDS_OF_A_GROUP = 10
EXPLAINED = ("integer out of range", "#extensions", "got unconvertible type 'string'", "panic: ", "a mount target")
"""Documented: the reference takes numbers that it has no room for, trips over `x-` keys in some maps, over numbers
under `!override` and over devices that a later file replaces.
"""


@pytest.mark.peer
@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_combination_means_the_same_to_both_programs(seed: int) -> None:
    random = Random(seed)
    args = random.choice([[], ["--profile", "p"]])
    case = Case(project(random), args, {"V": "val"})
    assert differences(case, conflicts=False) == []  # what clashes by chance is only refused by us


@pytest.mark.peer
@pytest.mark.parametrize("group", GROUPS)
def test_a_random_project_of_several_files_means_the_same_to_both_programs(group: int) -> None:
    seeds = range(group * SEEDS_OF_A_GROUP, (group + 1) * SEEDS_OF_A_GROUP)
    found = {seed: differences(generate_files.case(Random(seed)), conflicts=False) for seed in seeds}
    assert {seed: each for seed, each in found.items() if each} == {}


@pytest.mark.peer
@pytest.mark.parametrize("group", GROUPS)
def test_an_odd_value_is_accepted_and_meant_alike_or_refused_by_both_programs(group: int) -> None:
    seeds = range(group * SEEDS_OF_A_GROUP, (group + 1) * SEEDS_OF_A_GROUP)
    found = {seed: differences(generate_values.case(Random(seed)), conflicts=False) for seed in seeds}
    wrong = {seed: each for seed, each in found.items() if each and not any(part in each[0] for part in EXPLAINED)}
    assert wrong == {}


@pytest.mark.peer
@pytest.mark.parametrize("group", GROUPS)
def test_files_that_override_extend_and_include_each_other_mean_the_same_to_both_programs(group: int) -> None:
    seeds = range(group * SEEDS_OF_A_GROUP, (group + 1) * SEEDS_OF_A_GROUP)
    found = {seed: differences(generate_merge.case(Random(seed)), conflicts=False) for seed in seeds}
    wrong = {seed: each for seed, each in found.items() if each and not any(part in each[0] for part in EXPLAINED)}
    assert wrong == {}

"""Do random things to several projects for a while, and show after each round that everything is as it must be.

    python -m tests.soak [--minutes 10] [--seed N] [--projects 3] [--rounds 0]

The seed decides what is done and in which order, so a round that fails can be repeated with it.
"""

from __future__ import annotations

import argparse
import random
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.soak import projects
from tests.soak.invariants import UP, Growth, log_is_clean, nothing_is_left
from tests.soak.operations import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

A_ROUND = 6
"""Operations of one round."""
BASE_EVERY = 3
"""Rounds after which everything is taken down and looked at."""


class Soak:
    """One run; `violation` says what was found."""

    def __init__(self, root: Path, seed: int, count: int) -> None:
        self.seed = seed
        self.projects = projects.make(root, count)
        self.growth = Growth()
        self.done: list[str] = []
        self.round = 0

    def play_round(self, names: Sequence[str] = ()) -> None:
        """Some operations, by chance if none are named, then the invariants. Raises AssertionError."""
        self.round += 1
        chance = random.Random(f"{self.seed}/{self.round}")
        weights = [operation.weight for operation in OPERATIONS.values()]
        for name in names or chance.choices(list(OPERATIONS), weights, k=A_ROUND):
            project = chance.choice(self.projects)
            began = time.monotonic()
            self.done.append(f"{self.round}: {project.project} {name}")
            OPERATIONS[name].act(project, random.Random(f"{self.seed}/{self.round}/{len(self.done)}"))
            self.done[-1] += f" ({time.monotonic() - began:.1f} s)"
        for project in self.projects:
            project.do("up", "-d", "--remove-orphans")
        for project in self.projects:
            for holds in UP:
                self.done.append(f"{self.round}: {project.project} {holds.__name__}?")
                holds(project)
                self.done.pop()
        log_is_clean(self.projects[0])
        if self.round % BASE_EVERY == 0:
            self.rest()

    def rest(self) -> None:
        """Take everything down; nothing may be left, nothing may have grown. Raises AssertionError."""
        for project in self.projects:
            project.do("down", "-t", "1", "-v", "--remove-orphans")
        nothing_is_left(self.projects[0])
        self.growth.sample(self.projects[0])


def main(arguments: list[str]) -> int:
    """Soak for so many minutes or rounds; 1 if something was not as it must be."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=0, help="instead of minutes")
    parser.add_argument("--projects", type=int, default=3)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    options = parser.parse_args(arguments)
    root = Path(tempfile.mkdtemp(prefix="pyc-soak-"))
    soak = Soak(root, options.seed, options.projects)
    print(f"seed {options.seed}, data in {root}", flush=True)
    end = time.monotonic() + options.minutes * 60
    try:
        soak.projects[0].do("engine", "start")
        while soak.round < options.rounds if options.rounds else time.monotonic() < end:
            soak.play_round()
            print(f"round {soak.round}: {len(soak.done)} operations so far", flush=True)
        soak.rest()
        soak.projects[0].close()
    except AssertionError as violation:
        print("\n".join(soak.done[-3 * A_ROUND :]))
        print(f"seed {options.seed}, round {soak.round}: {violation}\nlook at {root}")
        return 1
    print(f"nothing wrong in {soak.round} rounds, {len(soak.done)} operations\n{soak.growth}")
    shutil.rmtree(root, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

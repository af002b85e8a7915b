"""The program `python -m runtime.reset list|remove --root DIR --run DIR`: JSON on standard output.

`list` prints the inventory, `remove` `{"problems": [...]}`; an error is `{"error": {kind, message, fields}}` and exit
status 1. It needs no engine, and none that works.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import TYPE_CHECKING, Any

from runtime.errors import EngineError, SystemFailure
from runtime.paths import Paths
from runtime.reset import inventory, removal

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Look or remove; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m runtime.reset", description="Remove all that an engine made.")
    parser.add_argument("verb", choices=("list", "remove"))
    parser.add_argument("--root", required=True, help="data root")
    parser.add_argument("--run", required=True, help="runtime directory")
    options = parser.parse_args(arguments)
    # a data root may be a symbolic link to where there is room: what it leads to is meant
    paths = Paths(root=os.path.realpath(options.root), run=os.path.realpath(options.run))
    answer: dict[str, Any]
    try:
        found = inventory.look(paths)
        answer = dict(found) if options.verb == "list" else {"problems": removal.remove(paths, found)}
    except EngineError as error:
        answer = {"error": error.to_wire()}
    except OSError as error:
        answer = {"error": SystemFailure(f"reset: {error}").to_wire()}
    json.dump(answer, sys.stdout)
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main())

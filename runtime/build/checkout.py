"""Fetch a repository as the caller's own git does: `python -m runtime.build.checkout commit URL`, `... files URL DIRECTORY`.

It is a program because it needs no engine, and the user's ssh agent, credential helpers and git settings instead of the
engine's. What is fetched is foreign: no hooks, no submodules, no prompts, and only protocols that reach a network.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from runtime.build.dockerfile.contextref import parse_git
from runtime.build.remotes import check_out, commit_behind
from runtime.errors import EngineError, InvalidParameter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from runtime.build.dockerfile.contextref import Git

PROTOCOLS = "http:https:ssh:git"
SSH = "ssh -o ControlMaster=no -o BatchMode=yes"


def answer(words: Sequence[str], environ: Mapping[str, str]) -> dict[str, Any]:
    """`Commit` and `Subdir` of a URL, whose files are put into a directory if one is named; raises EngineError."""
    verb, url, *rest = words
    git = parse_git(url)
    if git is None:
        raise InvalidParameter(f"{url}: not a git URL")
    environment = _environment(environ)
    commit = commit_behind(git, environment)
    if verb == "files":
        check_out(_only_files(git, commit), rest[0], environment)
    return {"Commit": commit, "Subdir": git.subdir}


def main(words: list[str]) -> int:
    """Print the answer, or an error in its wire form, as JSON; the exit code."""
    if len(words) != {"commit": 2, "files": 3}.get(words[0] if words else "", -1):
        print("usage: python -m runtime.build.checkout commit URL | files URL DIRECTORY", file=sys.stderr)
        return 2
    try:
        print(json.dumps(answer(words, os.environ)))
    except EngineError as error:
        print(json.dumps({"error": error.to_wire()}))
        return 1
    return 0


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    settled = {"GIT_TERMINAL_PROMPT": "0", **environ, "GIT_ALLOW_PROTOCOL": PROTOCOLS, "LC_ALL": "C"}
    if "GIT_SSH" not in environ and "GIT_SSH_COMMAND" not in environ:
        settled["GIT_SSH_COMMAND"] = SSH
    return settled


def _only_files(git: Git, commit: str) -> Git:
    return replace(git, ref=commit, submodules=False, keep_git_dir=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
